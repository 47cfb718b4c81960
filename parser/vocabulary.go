package parser

import (
	"strings"
	"unicode"
)

// synonyms lists the header names that banks use for a column, beside its own
// name. Most were counted in real exports; a name that means one column here
// and another there is under both. A currency after it, as in "Amount (EUR)",
// is left out.
func synonyms(c Column) []string {
	switch c {
	case AccountID:
		return []string{
			"account", "Account Number", "Account No", "Account No.", "Card No.", "Card Used For Transaction",
			"Auftraggeberkonto", "Auftragskonto", "Kreditkartennummer",
			"Rekening", "Rekeningnummer", "IBAN/BBAN", "Numéro de compte", "Numero de compte", "Compte",
			"Número de cuenta", "Numero de cuenta", "Cuenta", "Número da conta", "Conta", "Numero conto", "Conto",
			"Numer rachunku", "Číslo účtu", "Tilinumero", "Számlaszám", "Hesap No", "Номер счета", "Номер счёта", "账号", "口座番号",
		}
	case Date:
		return []string{
			"Booking Date", "Completed Date", "created", "created_utc", "JournalDate", "Posting Date", "Transaction Date",
			"Trans Date", "Trans. Date", "Tran Date", "Txn Date",
			"Abschlussdatum", "Belegdatum", "Buchung", "Buchungstag", "Datum", "Kaufdatum", "Transaktionsdatum",
			"Transactiedatum", "Uitvoeringsdatum", "Dato", "Bokföringsdag", "Bogføringsdato", "Kirjauspäivä",
			"Date opération", "Date operation", "Date de l'opération", "Date de l'operation",
			"Fecha", "Fecha operación", "Fecha operacion", "Fecha de operación", "Fecha de operacion",
			"Data", "Data operazione", "Data contabile", "Data lançamento", "Data movimento",
			"Data operacji", "Data transakcji", "Datum transakce", "Datum zaúčtování", "Könyvelés dátuma",
			"Дата", "Дата операции", "Дата транзакции", "İşlem Tarihi", "Tarih", "交易日期", "取引日", "日付",
		}
	case Amount:
		return []string{
			"Amount CZK", "gross", "NetAmount", "Transaction Amount", "Transaction Amount(Local)", "Value",
			"Betrag", "Betrag in EUR", "Bedrag", "Belopp", "Beløb", "Beløp", "Määrä", "Summa",
			"Montant", "Importe", "Monto", "Importo", "Valor", "Montante", "Kwota", "Kwota operacji", "Částka", "Összeg",
			"Сумма", "Сумма операции", "Tutar", "交易金额", "金额", "金額",
		}
	case Debit:
		return []string{
			"Debits", "Debit Amount", "Withdrawal", "Withdrawals", "Withdrawal Amount", "Withdrawal Amt.", "Money Out", "Paid Out", "Outflow",
			"Soll", "Lastschrift", "Belastung", "Debet", "Débit", "Débito", "Debito", "Cargo", "Cargos", "Addebiti", "Dare", "Uscite",
			"Obciążenia", "Výdaj", "Расход", "Списание", "Borç", "支出", "出金",
		}
	case Credit:
		return []string{
			"Credits", "Credit Amount", "Deposit", "Deposits", "Deposit Amount", "Deposit Amt.", "Money In", "Paid In", "Inflow",
			"Haben", "Gutschrift", "Kredit", "Crédit", "Crédito", "Credito", "Abono", "Abonos", "Accrediti", "Avere", "Entrate",
			"Uznania", "Příjem", "Приход", "Поступление", "Зачисление", "Alacak", "收入", "入金",
		}
	case direction:
		return []string{
			"Af Bij", "Af/Bij", "CreditDebet", "Credit/Debit", "Debit/Credit", "Debit/Kredit", "Debit or Credit", "Credit Debit Indicator",
			"Debit Credit Indicator", "CR/DR", "DR/CR", "C/D", "D/C", "Soll/Haben", "S/H", "Transaction Type", "Приход/Расход",
		}
	case Description:
		return []string{
			"desc", "Details", "Item", "Memo", "Merchant Category", "Merchant Name", "Narrative", "Partner Name", "Payee", "Text",
			"Transaction Description", "Auftraggeber/Beguenstigter", "Beschreibung", "Beschreibung1", "Buchungstext", "Empfänger",
			"Transaktion", "Transaktionstyp", "Umsatzbeschreibung", "Verwendungszweck", "Zweck",
			"Naam / Omschrijving", "Naam tegenpartij", "Omschrijving", "Rekening", "Tegenrekening", "Tegenrekeninghouder",
			"Kategori", "Rubrik", "Tekst", "Libellé", "Concepto", "Descripción", "Descrizione", "Descrição",
			"Nazwa nadawcy", "Opis operacji", "Popis", "Описание", "Описание операции", "Назначение платежа",
		}
	}
	return nil
}

// makeshifts lists the names of what serves for a column where the file has
// nothing better: beside a better one they mean something else, as the number
// of the other party's account, or the day on which interest begins.
func makeshifts(c Column) []string {
	switch c {
	case AccountID:
		return []string{"Account Name", "Kontonummer", "Konto", "Kontonr", "Kontonr."}
	case Date:
		return []string{
			"Post Date", "Posted Date", "Date Posted", "Value Date", "Boekdatum", "Bokföringsdatum", "Buchungsdatum",
			"Valuta", "Valutadatum", "Rentedatum", "Wertstellung", "Wertstellungsdatum", "Date de valeur", "Date valeur",
			"Fecha valor", "Data valuta", "Data valor", "Data księgowania", "Data waluty",
		}
	case Amount:
		return []string{"Belastung", "Inflow", "Umsatz", "Net"}
	}
	return nil
}

// foldName makes header names comparable: without blanks, "_" and "-", and
// under simple Unicode case folding.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || unicode.IsSpace(r) {
			return -1
		}
		return foldRune(r)
	}, name)
}

// foldRune returns the least of the runes that differ from r in case only.
func foldRune(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return least
}
