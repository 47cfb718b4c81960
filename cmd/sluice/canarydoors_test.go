package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"sluice/internal/devstack/devtest"
)

// batches sends bulk jobs and chunks that are done, that fail, and that are refused.
func (a *aviary) batches() {
	a.Helper()
	const doors = "/api/financial-transactions/"
	asJSON, asBytes := map[string]string{"Content-Type": "application/json"}, map[string]string{"Content-Type": "application/octet-stream"}
	record := `{"account_id":"` + canaryAccount + `","date":"2024-01-15","amount":"` + canaryCell + `","` + canaryHeader + `":1}`
	for kind, c := range map[string]struct{ batch, bad string }{
		"csv":  {canary, canaryHeader + ",\"" + canaryCell},
		"json": {"[" + record + "]", "[" + record},
	} {
		id := a.member(doors+"jobs/", `{"object":"FinancialTransaction","operation":"pipeline","content_type":"`+kind+`"}`, "job_id")
		to := doors + "jobs/" + id
		a.must(http.StatusOK, "PUT", to+"/upload/?batch_number=1", asBytes, c.batch)
		for _, bad := range []string{c.bad, canaryCell, "\"" + canaryCell, "\xff\xfe" + canaryCell, canary + canary} {
			a.ask(a.own, "PUT", to+"/upload/?batch_number=2&"+canarySearch, asBytes, bad)
			a.ask(a.foreign, "PUT", to+"/upload/?batch_number=2", asBytes, bad)
			a.ask("", "PATCH", to+"/complete/", asJSON, bad)
		}
		a.ask(a.own, "PUT", to+"/upload/?batch_number="+canaryNote, asBytes, c.batch)
		a.must(http.StatusOK, "PATCH", to+"/complete/", asJSON, "")
		a.ends(id)
	}
	chunk := `{"session_id":"s","chunk_number":1,"total_chunks":1,"chunk_data":[` + record + `]}`
	a.ends(a.member(doors+"upload-chunked/", chunk, "job_id"))
	a.ask(a.own, "POST", doors+"upload-chunked/", asJSON, strings.Replace(chunk, "15", "16", 1))
	a.ask(a.foreign, "GET", doors+"upload-chunked/s/", nil, "")
}

// member posts JSON and returns a member of what is answered.
func (a *aviary) member(path, body, name string) string {
	a.Helper()
	status, answer, _ := a.ask(a.own, "POST", path, map[string]string{"Content-Type": "application/json"}, body)
	var told map[string]any
	if err := json.Unmarshal([]byte(answer), &told); err != nil || status >= http.StatusBadRequest {
		a.Fatalf("POST %s: %d %s", path, status, answer)
	}
	text, _ := told[name].(string)
	return text
}

// drops puts files into a watched place and tells of them, truly and not.
func (a *aviary) drops(server *devtest.S3) {
	a.Helper()
	cfg := server.Config
	partner := s3.New(s3.Options{
		BaseEndpoint: &cfg.Endpoint, Region: cfg.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(cfg.AccessKeyID, cfg.SecretAccessKey.Reveal(), ""),
	})
	if _, err := partner.CreateBucket(a.Context(), &s3.CreateBucketInput{Bucket: aws.String("drops")}); err != nil {
		a.Fatal(err)
	}
	watch := a.member("/api/watches/", `{"bucket":"drops","prefix":"in/","after":"tag"}`, "id")
	if watch == "" {
		a.Fatal("the watch has no id")
	}
	put := func(name, content string) {
		a.Helper()
		_, err := partner.PutObject(a.Context(), &s3.PutObjectInput{
			Bucket: aws.String("drops"), Key: aws.String("in/" + name), Body: strings.NewReader(content), Metadata: map[string]string{"note": canaryNote, "parse-config": "{}"},
		})
		if err != nil {
			a.Fatal(err)
		}
	}
	put(canaryFile, canary)
	put("bad-"+canaryFile, canaryHeader+",date\n"+canaryCell+",x\n")
	put("wrong-"+canaryFile, canaryHeader+"\n")
	hint := func(key, body string) {
		a.Helper()
		for _, secret := range []string{a.canaries["hook secret"], a.canaries["hook secret"] + "x"} {
			if body == "" {
				a.ask(secret, "POST", "/hooks/s3", nil, `{"Records":[{"s3":{"bucket":{"name":"drops"},"object":{"key":"`+url.QueryEscape(key)+`"}}}]}`)
				continue
			}
			a.ask(secret, "POST", "/hooks/s3", nil, body)
		}
	}
	for _, key := range []string{"in/" + canaryFile, "in/bad-" + canaryFile, "in/wrong-" + canaryFile, "in/gone-" + canaryFile, "in/../" + canaryFile, "elsewhere/" + canaryFile} {
		hint(key, "")
	}
	hint("", `{"Records":[{"s3":{"object":{"key":"%zz`+canaryFile+`"}}}]}`)
	hint("", canaryCell)
	for _, name := range []string{"bad-" + canaryFile, "wrong-" + canaryFile} {
		eventually(a, "the job of a dropped file", func(context.Context) bool {
			answer, _ := a.must(http.StatusOK, "GET", "/api/jobs/?q="+name, nil, "")
			var list struct {
				Jobs []struct{ State string }
			}
			if err := json.Unmarshal([]byte(answer), &list); err != nil {
				a.Fatal(err)
			}
			return len(list.Jobs) == 1 && list.Jobs[0].State == "FAILED"
		})
	}
	a.ask(a.foreign, "GET", "/api/watches/", nil, "")
	a.ask(a.foreign, "DELETE", "/api/watches/"+watch+"/", nil, "")
	a.must(http.StatusNoContent, "DELETE", "/api/watches/"+watch+"/", nil, "")
}

// imports runs `sluice import` on files that are done, and that fail. What it logs is
// kept: what it says besides is for who names the file.
func (a *aviary) imports() {
	a.Helper()
	for name, c := range map[string]struct {
		stdin string
		args  []string
	}{
		"good":    {"", []string{written(a, canaryFile, canary)}},
		"kept":    {"", []string{"--keep", written(a, canaryFile, canary)}},
		"bad":     {"", []string{written(a, canaryFile, canaryHeader+",date\n"+canaryCell+",x\n")}},
		"stdin":   {canary, []string{"--filename", canaryFile, "-"}},
		"setting": {canary, []string{"--parse-config", `{"` + canaryHeader + `":1}`, "-"}},
		"missing": {"", []string{"/nowhere/" + canaryFile}},
		"object":  {"", []string{"s3://drops/in/" + canaryFile}},
	} {
		var stderr bytes.Buffer
		cmd := command(a, a.env, append([]string{"import", "--tenant", "acme", "--json"}, c.args...)...)
		cmd.Stdin, cmd.Stderr = strings.NewReader(c.stdin), &stderr
		_ = cmd.Run() // some fail, as they are to
		for line := range strings.Lines(stderr.String()) {
			if strings.HasPrefix(line, "{") {
				a.said["the log of sluice import, "+name] += line
			}
		}
	}
}
