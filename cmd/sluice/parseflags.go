package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// parseFlags are the keys of a parse_config that a user writes by hand most;
// each replaces the same key of --parse-config. The server checks them all
// before a byte is sent.
type parseFlags struct {
	ParseConfig        string            `group:"File" placeholder:"JSON|@FILE" help:"parse_config of the jobs."`
	Column             map[string]string `group:"File" mapsep:"none" placeholder:"NAME=HEADER" help:"Header, or position from 1, of account_id, date, amount, is_revenue, debit or credit. Repeatable."`
	DateFormat         string            `group:"File" placeholder:"FORMAT" help:"Such as YYMMDD, DD.MM.YYYY or M/D/YY."`
	Direction          string            `group:"File" placeholder:"COLUMN" help:"Column that says whether an unsigned amount came or went."`
	CreditValues       []string          `group:"File" placeholder:"WORD" help:"What --direction says of money that came."`
	DebitValues        []string          `group:"File" placeholder:"WORD" help:"What --direction says of money that went."`
	Delimiter          string            `group:"File" placeholder:"CHAR" help:"Between fields; found out where it is not given."`
	Encoding           string            `group:"File" placeholder:"NAME" help:"Such as windows-1252; UTF-8 and UTF-16 are found out."`
	DecimalSeparator   string            `group:"File" placeholder:"CHAR" help:"In amounts."`
	ThousandsSeparator string            `group:"File" placeholder:"CHAR" help:"In amounts."`
	AccountID          string            `name:"account-id" group:"File" placeholder:"ID" help:"Of every row, for an export of one account."`
	Header             bool              `group:"File" default:"true" negatable:"" help:"The file has a header; without one, name columns by position."`
	HeaderLine         int               `group:"File" placeholder:"LINE" help:"Line of the header, from 1; found out where it is not given."`
	Ragged             bool              `group:"File" help:"Rows may have more or fewer fields than the header, if they hold the columns that are read."`
	DryRun             bool              `group:"File" help:"Parse and report; make no offers."`
}

// parseConfig is the parse_config as JSON; empty where nothing is set.
func (f *parseFlags) parseConfig() (string, error) {
	text, err := argument("--parse-config", f.ParseConfig)
	if err != nil {
		return "", err
	}
	config := map[string]any{}
	if text != "" {
		// Values stay as they were written: a float would change numbers.
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&config); err != nil {
			return "", fmt.Errorf("--parse-config: not a JSON object: %w", err)
		}
	}
	for key, value := range map[string]string{
		"date_format": f.DateFormat, "delimiter": f.Delimiter, "encoding": f.Encoding,
		"decimal_separator": f.DecimalSeparator, "thousands_separator": f.ThousandsSeparator,
		"account_id": f.AccountID,
	} {
		if value != "" {
			config[key] = value
		}
	}
	if f.Direction != "" {
		config["direction"] = map[string]any{"column": f.Direction, "credit": f.CreditValues, "debit": f.DebitValues}
	} else if len(f.CreditValues)+len(f.DebitValues) > 0 {
		return "", fmt.Errorf("--credit-values and --debit-values: need --direction, the column that holds them")
	}
	if len(f.Column) > 0 {
		config["columns"] = columns(f.Column)
	}
	if !f.Header {
		config["has_header"] = false
	}
	if f.HeaderLine != 0 {
		config["header_line"] = f.HeaderLine
	}
	if f.Ragged {
		config["ragged"] = true
	}
	if f.DryRun {
		config["dry_run"] = true
	}
	if len(config) == 0 {
		return "", nil
	}
	out, err := json.Marshal(config)
	return string(out), err
}

// columns takes a whole number for a position and all else for a header. A
// header that is a number is named by --parse-config.
func columns(flags map[string]string) map[string]any {
	out := map[string]any{}
	for column, ref := range flags {
		out[column] = ref
		if position, err := strconv.Atoi(ref); err == nil {
			out[column] = position
		}
	}
	return out
}

// argument returns value, or the content of the file that @file names.
func argument(flag, value string) (string, error) {
	path, isFile := strings.CutPrefix(value, "@")
	if !isFile {
		return value, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	return string(content), nil
}
