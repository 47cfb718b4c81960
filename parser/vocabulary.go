package parser

import (
	"strings"
	"unicode"
)

// synonyms lists the header names that banks use for a column, beside its own
// name. They were counted in real exports; a name that means one column here
// and another there is under both.
func synonyms(c Column) []string {
	switch c {
	case AccountID:
		return []string{
			"account", "Account Name", "Account Number", "Card No.", "Card Used For Transaction",
			"Auftraggeberkonto", "Auftragskonto", "Kontonummer", "Kreditkartennummer",
			"Rekening", "Rekeningnummer", "Номер счета",
		}
	case Date:
		return []string{
			"Booking Date", "Completed Date", "created", "created_utc", "JournalDate", "Posting Date", "Transaction Date",
			"Abschlussdatum", "Belegdatum", "Buchung", "Buchungstag", "Datum", "Kaufdatum", "Transaktionsdatum",
			"Transactiedatum", "Uitvoeringsdatum", "Dato", "Bokföringsdag",
			"Data operacji", "Data transakcji", "Дата операции",
		}
	case Amount:
		return []string{
			"Amount (EUR)", "Amount CZK", "gross", "Inflow", "NetAmount", "Transaction Amount(Local)", "Value",
			"Belastung", "Betrag", "Betrag (EUR)", "Betrag in EUR", "Bedrag", "Bedrag (EUR)",
			"Belopp", "Beløb", "Kwota", "Kwota operacji",
		}
	case Debit:
		return []string{"Withdrawal", "Withdrawals (SGD)", "Soll", "Расход"}
	case Credit:
		return []string{"Deposit", "Deposits (SGD)", "Haben", "Приход"}
	case Description:
		return []string{
			"desc", "Details", "Item", "Merchant Category", "Merchant Name", "Partner Name", "Payee", "Text", "Transaction Description",
			"Auftraggeber/Beguenstigter", "Beschreibung", "Beschreibung1", "Buchungstext", "Empfänger", "Transaktion",
			"Transaktionstyp", "Umsatzbeschreibung", "Verwendungszweck", "Zweck",
			"Naam / Omschrijving", "Naam tegenpartij", "Omschrijving", "Rekening", "Tegenrekening", "Tegenrekeninghouder",
			"Kategori", "Rubrik", "Tekst", "Nazwa nadawcy", "Opis operacji", "Описание операции",
		}
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
