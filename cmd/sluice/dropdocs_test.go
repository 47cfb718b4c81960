package main_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"sluice/internal/devstack"
)

// TestDropDocs goes down the page of S3 drop as an operator and a partner would: the
// place is watched, the object is written with its settings, and one event makes one job.
func TestDropDocs(t *testing.T) {
	t.Parallel()
	drops := newDropWorld(t)
	c := drops.s3.Config
	w := newDocsWorld(t, append(drops.env, "SLUICE_WATCH_AREAS=default=drops/acme/", "SLUICE_WATCH_INTERVAL=24h"))
	const july = "account_id,date,amount\nA1,15.01.2024,4000.00\n"
	w.write("july.csv", july)
	w.env = append(w.env, "AWS_DEFAULT_REGION="+c.Region, "AWS_ACCESS_KEY_ID="+c.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+c.SecretAccessKey.Reveal(), "AWS_EC2_METADATA_DISABLED=true")
	var said strings.Builder
	watches := 2 // that curl and sluice add; each other language adds one
	for _, e := range examples(t, "s3-drop") {
		e.code = strings.ReplaceAll(e.code, "http://127.0.0.1:9000", c.Endpoint)
		e.code = strings.ReplaceAll(e.code, "arn:minio:sqs::sluice:webhook", devstack.MinIOEvents) // as this MinIO names it
		_, missing := exec.LookPath("aws")
		switch {
		case e.info == "minio" && (os.Getenv("SLUICE_TEST_MINIO") == "" || missing != nil):
			t.Logf("not run, it needs MinIO (make test-minio) and aws-cli:\n%s", e.code)
			continue
		case e.info == "aws" && missing != nil:
			t.Logf("not run, aws is not on this machine:\n%s", e.code)
			_, err := drops.partner.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String("drops"), Key: aws.String("acme/in/july.csv"), Body: strings.NewReader(july),
				Metadata: map[string]string{"parse-config": `{"date_format": "DD.MM.YYYY"}`},
			})
			drops.must(err)
			continue
		}
		out, ran := w.run(e)
		said.WriteString(out)
		if ran && e.lang != "sh" {
			watches++
		}
	}
	drops.wantJob("acme/in/july.csv")
	if n := drops.count(`watches WHERE tenant = 'acme' AND prefix = 'acme/in/'
		OR tenant = 'default' AND prefix IN ('acme/tagged/', 'acme/weekly/', 'acme/daily/')`); n != watches {
		t.Errorf("%d watches are as the page adds them, want %d", n, watches)
	}
	if n := drops.count("jobs WHERE parse_config LIKE '%DD.MM.YYYY%'"); n != 1 || drops.count("jobs") != 1 {
		t.Errorf("%d jobs, of which %d with the object's own settings", drops.count("jobs"), n)
	}
	if !strings.Contains(said.String(), "HTTP/1.1 204") {
		t.Errorf("the hook does not answer as the page says:\n%s", &said)
	}
	w.stop(t)
}
