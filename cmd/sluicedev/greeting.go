package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
)

// sample ends in one approved offer, of 1000 for the shop (the credit model's
// worked example V2), and one decline, for the account that only spends.
const sample = `account_id,date,amount
shop,2024-10-05,1000.00
shop,2024-10-20,-400.00
shop,2024-11-05,2000.00
shop,2024-11-20,-800.00
shop,2024-12-05,3000.00
shop,2024-12-20,-1800.00
rent,2024-12-01,-900.00
`

// greeting is what the user sees when everything is ready.
func greeting(url, dir string) string {
	return fmt.Sprintf(`
Sluice is ready.

  Page  %[1]s/
  Data  %[2]s

Send a file:

  %[3]s

See what became of it:

  curl -s %[4]s%[1]s/api/jobs/

Ctrl-C stops everything.

`, url, dir, uploadLine(url), authorization())
}

// uploadLine is a whole upload as one line for any shell: tus 1.0.0,
// creation-with-upload, https://tus.io/protocols/resumable-upload.
func uploadLine(url string) string {
	return fmt.Sprintf(`printf '%s' | curl -i %s%s/files/ -H 'Tus-Resumable: 1.0.0' -H 'Content-Type: application/offset+octet-stream' -H 'Upload-Length: %d' -H 'Upload-Metadata: filename %s' --data-binary @-`,
		strings.ReplaceAll(sample, "\n", `\n`), authorization(), url, len(sample), base64.StdEncoding.EncodeToString([]byte("sample.csv")))
}

// authorization is the header that a gateway with a key asks for. The key itself
// is not printed: what is shown on a terminal is copied on.
func authorization() string {
	if os.Getenv("SLUICE_API_KEY") == "" {
		return ""
	}
	return `-H "Authorization: Bearer $SLUICE_API_KEY" `
}
