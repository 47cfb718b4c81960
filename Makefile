# Sluice. `make` alone lists what can be made.
#
# Nothing is installed outside this folder but Debian packages, and those only
# as root or by a sudo that asks no password; otherwise one sentence says what
# to install. Tools live in .bin, each at the version pinned here.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

GOFUMPT       := mvdan.cc/gofumpt@v0.12.0
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
SQLC          := github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1
DEADCODE      := golang.org/x/tools/cmd/deadcode@v0.52.0
MINIO         := github.com/minio/minio@v0.0.0-20250907161309-07c3a429bfed
CYCLONEDX     := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.9.0
DUCKDB        := @duckdb/node-api@1.5.6-r.1

# The race detector slows a test about tenfold, so it runs only where
# goroutines meet over shared state.
CONCURRENT := ./internal/job ./internal/upload ./internal/drop ./parser ./worker ./gateway

# How long `make soak` gives each fuzz target, and how often it repeats the
# tests of CONCURRENT.
SOAK       ?= 1m
SOAK_COUNT ?= 10

# How many times `make soak` has something die beside a running job.
SOAK_CYCLES ?= 300

# How large a file it has a worker of 256 MiB begin, die of a kill at 90 %, and
# repeat, and for how long it takes S3 and Postgres away.
HUGE_BYTES ?= 5368709120
OUTAGE     ?= 200s

# How many rows it sums: 3 GB, in hardly more memory than a fifth of them.
LONG_ROWS ?= 50000000

# How long the lines of its hostile files are, how many groups and rejects they
# have, and to how much more they inflate.
HOSTILE_BYTES ?= 2147483648
HOSTILE_ROWS  ?= 20000000

# How large a file it sends by each door that takes it in one request.
DOOR_BYTES ?= 2147483648

# How many uploads it sends while everything dies.
UPLOAD_CYCLES ?= 550

# How often it restarts a gateway under the hands of real clients.
RESTARTS ?= 100

##@ Use
.PHONY: run
run: build ## Start everything on this machine; the page is at http://127.0.0.1:8080 (SLUICE_HTTP_ADDR, SLUICE_DATA_DIR)
	@exec bin/sluicedev

.PHONY: build
build: ## Build bin/sluice, the product, and bin/sluicedev, which runs it with its servers
	go build -trimpath -o bin/ ./cmd/sluice ./cmd/sluicedev

##@ Prove
.PHONY: test
test: deps ## Run every test against a real Postgres and a real S3 server
	go test -timeout 30m ./...
	@if [ "$$(go env CGO_ENABLED)" = 1 ]; then \
		echo go test -race $(CONCURRENT); go test -race -timeout 30m $(CONCURRENT); \
	else echo 'race detector: not run, it needs a C compiler (Debian: apt-get install gcc libc6-dev)'; fi

.PHONY: check
check: tools ## Run what needs no server: format, linters with the floors, vet, dead code, generated files, modules
	@unformatted=$$(.bin/gofumpt -l .); [ -z "$$unformatted" ] || { echo "not formatted (make fmt): $$unformatted"; exit 1; }
	go vet ./...
	.bin/golangci-lint run --allow-parallel-runners
	go test -count=1 -run '^TestFloors$$' ./cmd/sluice
	@dead=$$(.bin/deadcode -test ./...); [ -z "$$dead" ] || { echo "$$dead"; exit 1; }
	@for f in internal/*/sqlc.yaml; do echo "sqlc diff $$f"; .bin/sqlc diff -f "$$f"; done
	go mod tidy -diff
	go mod verify
	@$(MAKE) --no-print-directory check-page

.PHONY: bench
bench: deps ## Run every benchmark, each alone, and the whole path in cmd/sluice last
	go test -run '^$$' -bench . -benchmem -p 1 -timeout 60m $$(go list ./... | grep -v '^sluice/cmd/')
	go test -run '^$$' -bench . -timeout 60m ./cmd/...

# BENCH_ROWS=100000 makes a short run of it, in seconds instead of minutes.
BENCH_ROWS ?= 10000000
BENCH_RUNS ?= 3

.PHONY: bench-parse
bench-parse: .bin/bench/.duckdb ## Compare parsing and summing, in order, with DuckDB and encoding/csv (BENCH_ROWS=10000000, BENCH_RUNS=3; 2 GB of generated files in .bin/bench)
	go test -c -tags purego -o .bin/bench/purego.test ./internal/pipeline
	@SLUICE_BENCH_DIR='$(CURDIR)/.bin/bench' SLUICE_BENCH_ROWS=$(BENCH_ROWS) SLUICE_BENCH_RUNS=$(BENCH_RUNS) \
		go test -count=1 -v -timeout 90m -run '^TestBenchParse$$' ./internal/pipeline | grep -v --line-buffered '^=== '

.PHONY: bench-ingest
bench-ingest: deps .bin/bench/.duckdb ## Measure whole jobs from S3 to JOB_COMPLETE, CPU and memory, beside DuckDB's query (BENCH_ROWS=10000000, BENCH_RUNS=3)
	SLUICE_BENCH_DIR='$(CURDIR)/.bin/bench' SLUICE_BENCH_ROWS=$(BENCH_ROWS) go test -count=1 -run '^TestBenchFiles$$' ./internal/pipeline
	SLUICE_BENCH_DIR='$(CURDIR)/.bin/bench' SLUICE_BENCH_ROWS=$(BENCH_ROWS) go test -run '^$$' -bench '^BenchmarkIngest$$' -benchtime $(BENCH_RUNS)x -timeout 60m ./cmd/sluice

.PHONY: bench-jobs
bench-jobs: deps ## Measure jobs: latencies, jobs/s and CPU, with 1 and 2 workers, and beside 100,000 finished jobs; a batch with S3 far away, of 1, 2 and 4 workers; a status beside 10,000 queued jobs
	go test -run '^$$' -bench '^Benchmark(Jobs|Scale|Status)$$' -benchtime 1x -timeout 60m ./cmd/sluice

# BENCH_BYTES=67108864 makes a short run of it.
BENCH_BYTES ?= 1073741824

.PHONY: bench-upload
bench-upload: deps ## Compare uploading to Sluice, to tusd with s3store, and straight to S3 (BENCH_BYTES=1073741824)
	@SLUICE_BENCH_UPLOAD_BYTES=$(BENCH_BYTES) go test -count=1 -v -timeout 60m -run '^TestBenchUpload$$' ./cmd/sluice | grep -v --line-buffered '^=== '

# FAIR_PAIRS=1 makes a short run of it.
FAIR_PAIRS ?= 5

.PHONY: bench-fair
bench-fair: deps ## Compare what a tenant's flood costs another's uploads on its own server, and on a server beside it: at most twice the p95 (FAIR_PAIRS=5)
	@SLUICE_BENCH_FAIR=$(FAIR_PAIRS) go test -count=1 -v -timeout 60m -run '^TestFairness$$' ./cmd/sluice | grep -v --line-buffered '^=== '

.PHONY: soak
soak: deps test-minio ## Fuzz each target for SOAK=1m, repeat the concurrent tests SOAK_COUNT=10 times, send 1 GiB from Chromium, kill workers SOAK_CYCLES=300 times and everything UPLOAD_CYCLES=550 times, restart gateways RESTARTS=100 times, have 500 clients trickle for a minute, flood one tenant FAIR_PAIRS=5 times beside another, work a file of HUGE_BYTES=5368709120 in 256 MiB, sum LONG_ROWS=50000000 rows, work hostile files of HOSTILE_BYTES=2147483648 and HOSTILE_ROWS=20000000, take servers away for OUTAGE=200s, send DOOR_BYTES=2147483648 by each door, and run test-minio
	@go test -list '^Fuzz' ./... \
		| awk '/^Fuzz/ {f[++n]=$$1} /^ok/ {for (i=1; i<=n; i++) print $$2, f[i]; n=0}' \
		| while read -r pkg fuzz; do \
			echo "go test -fuzz $$fuzz $$pkg"; \
			go test -run '^$$' -fuzz "^$$fuzz\$$" -fuzztime $(SOAK) "$$pkg" </dev/null; done
	go test -count $(SOAK_COUNT) -timeout 60m $(CONCURRENT)
	SLUICE_LONG_ROWS=$(LONG_ROWS) go test -count=1 -v -timeout 30m -run '^TestLongFile$$' ./internal/pipeline
	SLUICE_BROWSER_BYTES=1073741824 go test -count=1 -v -timeout 30m -run '^TestBrowserLargeFile$$' ./cmd/sluice
	SLUICE_SOAK_CYCLES=$(SOAK_CYCLES) go test -count 1 -timeout 120m -v -run '^TestWork(Soak|Mutants)$$' ./cmd/sluice
	SLUICE_DOOR_BYTES=$(DOOR_BYTES) go test -count 1 -timeout 60m -v -run '^TestDoorsHoldLittle$$' ./cmd/sluice
	SLUICE_HOSTILE_BYTES=$(HOSTILE_BYTES) SLUICE_HOSTILE_GROUPS=$(HOSTILE_ROWS) SLUICE_HOSTILE_REJECTS=$(HOSTILE_ROWS) go test -count 1 -timeout 120m -v -run '^TestHostileFiles$$' ./cmd/sluice
	SLUICE_HUGE_BYTES=$(HUGE_BYTES) SLUICE_OUTAGE=$(OUTAGE) go test -count 1 -timeout 60m -v -run '^Test(HugeJob|S3Away|PostgresAway)$$' ./cmd/sluice
	SLUICE_SOAK_CYCLES=$(UPLOAD_CYCLES) go test -count=1 -v -timeout 12h -run '^(TestSoak|TestDirectedFaults)$$' ./cmd/sluice
	SLUICE_SOAK_CYCLES=$(RESTARTS) go test -count=1 -v -timeout 2h -run '^TestRollingRestart$$' ./cmd/sluice
	SLUICE_BENCH_FAIR=$(FAIR_PAIRS) go test -count=1 -v -timeout 60m -run '^TestFairness$$' ./cmd/sluice
	SLUICE_SLOWLORIS=1 go test -count=1 -v -timeout 10m -run '^TestSlowloris$$' ./cmd/sluice

.PHONY: test-minio
test-minio: deps .bin/.minio ## Run the tests that store anything against a real MinIO (built once, about 8 CPU minutes)
	SLUICE_TEST_MINIO='$(CURDIR)/.bin/minio' go test -count=1 -timeout 60m ./internal/blob ./internal/upload ./internal/drop ./internal/doctor ./worker ./gateway ./cmd/sluice

##@ Release
RELEASE_PLATFORMS ?= linux/amd64 linux/arm64

# Of the last commit, in clones of it. The second build is in a folder of another
# name and has an empty build cache: what differs then is not the source's, and
# nobody could tell whether what they got is what was released.
.PHONY: release
release: .bin/.cyclonedx-gomod vulnerabilities gateway/web/node_modules ## Build bin/release from the last commit: binaries that anyone can build again to the bit, their bills of materials, SHA256SUMS
	@git diff --quiet HEAD || { echo 'release: it would be of the last commit, and there are changes that are not in it'; exit 1; }
	go mod verify
	@work=$$(mktemp -d); trap 'chmod -R u+w "$$work"; rm -rf "$$work"' EXIT; \
	rm -rf bin/release; mkdir -p bin/release "$$work/cold"; \
	git clone -q . "$$work/source"; git clone -q . "$$work/the same source, elsewhere"; \
	(cd gateway/web && node_modules/.bin/vite build --logLevel warn --sourcemap --outDir "$$work/page"); \
	build() { echo "go build $$2 in $$1"; (cd "$$work/$$1" && CGO_ENABLED=0 GOFLAGS=-mod=readonly GOOS=$${2%/*} GOARCH=$${2#*/} GOAMD64=v1 GOARM64=v8.0 \
		go build -trimpath -buildvcs=true -ldflags='-s -w' -o "$$work/$$1.out" ./cmd/sluice); }; \
	for platform in $(RELEASE_PLATFORMS); do \
		build source "$$platform"; GOCACHE="$$work/cold" build 'the same source, elsewhere' "$$platform"; \
		cmp "$$work/source.out" "$$work/the same source, elsewhere.out" || { echo "release: two builds of $$platform differ"; exit 1; }; \
		name="sluice_$$(go version -m "$$work/source.out" | awk '$$1 == "mod" {print $$3}')_$${platform/\//_}"; \
		cp "$$work/source.out" "bin/release/$$name"; \
		.bin/cyclonedx-gomod bin -json -noserial -notimestamp -std -output "$$work/go.json" "bin/release/$$name" 2>/dev/null; \
		go run ./cmd/sluicedev sbom --go "$$work/go.json" --lock gateway/web/package-lock.json --maps "$$work/page" "bin/release/$$name" >"bin/release/$$name.cdx.json"; \
	done; \
	cd bin/release && sha256sum -- sluice_* | tee SHA256SUMS

# Where the database is: https://vuln.go.dev, a mirror of it, or file:///a/copy.
VULN_DB ?= https://vuln.go.dev

.PHONY: vulnerabilities
vulnerabilities: .bin/.govulncheck ## Look for known vulnerabilities that the product's code can reach (VULN_DB=https://vuln.go.dev)
	@rc=0; said=$$(.bin/govulncheck -db '$(VULN_DB)' ./cmd/sluice 2>&1) || rc=$$?; echo "$$said"; \
	if [ $$rc = 1 ] && grep -q '^govulncheck: fetching vulnerabilities: ' <<<"$$said"; then \
		echo 'NOT LOOKED FOR VULNERABILITIES: the database, $(VULN_DB), cannot be reached from here (VULN_DB names another)'; exit 0; fi; \
	exit $$rc

##@ Change
.PHONY: page
page: gateway/web/node_modules ## Build the page anew from gateway/web/src and openapi.yaml, which needs Node
	cd gateway/web && npm run --silent build

.PHONY: picture
picture: deps ## Take the picture of the page in README.md anew, in Chromium
	@shots=$$(mktemp -d); trap 'rm -rf "$$shots"' EXIT; \
	SLUICE_SCREENSHOTS="$$shots" go test -count=1 -run '^TestBrowser$$/^drop$$' ./cmd/sluice && cp "$$shots/readme.png" gateway/web/page.png

# The committed build is what its source gives, and the types are what openapi.yaml
# gives: made beside them, and compared.
.PHONY: check-page
check-page:
	@if ! { command -v node && command -v npm; } >/dev/null; then echo 'page: not compared with its source, Node is missing (Debian: apt-get install nodejs npm)'; exit 0; fi; \
	$(MAKE) --no-print-directory gateway/web/node_modules; \
	fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	cd gateway/web && npm run --silent check && node_modules/.bin/vite build --logLevel warn --emptyOutDir --outDir "$$fresh" && \
	diff -rq "$$fresh" dist || { echo 'gateway/web: dist, or src/openapi.gen.ts, is not what its source gives (make page)'; exit 1; }

gateway/web/node_modules: gateway/web/package-lock.json
	cd gateway/web && npm ci --no-audit --no-fund --ignore-scripts --silent
	@touch $@

.PHONY: fmt
fmt: .bin/.gofumpt ## Format every Go file
	.bin/gofumpt -w .

.PHONY: generate
generate: .bin/.sqlc ## Write the generated files anew (the code of each sqlc.yaml)
	@for f in internal/*/sqlc.yaml; do echo "sqlc generate $$f"; .bin/sqlc generate -f "$$f"; done

.PHONY: clean
clean: ## Remove bin and .bin
	rm -rf bin .bin

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What the tests need beside Go: Debian's postgresql, Node for the tests with
# tus-js-client and Uppy, Chromium for those of the page, tuspy for the client of Python, curl
# and Python's requests for the examples of docs; these print their reason and are skipped without it.
.PHONY: deps
deps:
	@go run ./cmd/sluicedev deps
	@need=; command -v node >/dev/null && command -v npm >/dev/null || need='nodejs npm'; \
	command -v chromium >/dev/null || need="$$need chromium"; \
	/usr/bin/python3 -c 'import tusclient' 2>/dev/null || need="$$need python3-tuspy"; \
	command -v curl >/dev/null || need="$$need curl"; \
	python3 -c 'import requests' 2>/dev/null || need="$$need python3-requests"; \
	if [ -z "$$need" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then as_root=; \
	elif sudo -n true 2>/dev/null; then as_root='sudo -n'; \
	else echo "Missing: apt-get install $$need"; exit 0; fi; \
	echo "Installing $$need"; \
	$$as_root apt-get update -qq && $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends $$need fonts-dejavu-core >/dev/null \
		|| echo "$$need could not be installed: their tests are skipped"

.PHONY: .bin/bench/.duckdb
.bin/bench/.duckdb:
	@command -v node npm >/dev/null || { echo 'DuckDB comes by npm: apt-get install nodejs npm'; exit 1; }
	@mkdir -p .bin/bench
	@if [ "$$(cat $@ 2>/dev/null)" = '$(DUCKDB)' ]; then exit 0; fi; \
	echo 'npm install $(DUCKDB)'; npm install --silent --no-fund --no-audit --prefix .bin/bench '$(DUCKDB)' && echo '$(DUCKDB)' >$@

.PHONY: tools
tools: .bin/.gofumpt .bin/.golangci-lint .bin/.sqlc .bin/.deadcode

# A stamp holds the module and version that was installed, so that a change of
# the pin, and nothing else, installs anew.
.PHONY: FORCE
.bin/.gofumpt:       PIN = $(GOFUMPT)
.bin/.golangci-lint: PIN = $(GOLANGCI_LINT)
.bin/.sqlc:          PIN = $(SQLC)
.bin/.deadcode:      PIN = $(DEADCODE)
.bin/.minio:         PIN = $(MINIO)
.bin/.cyclonedx-gomod: PIN = $(CYCLONEDX)
.bin/.govulncheck:   PIN = $(GOVULNCHECK)
.bin/.%: FORCE
	@if [ -x .bin/$* ] && [ "$$(cat $@ 2>/dev/null)" = '$(PIN)' ]; then exit 0; fi; \
	echo 'go install $(PIN)'; GOBIN='$(CURDIR)/.bin' go install '$(PIN)' && echo '$(PIN)' >$@
