package job

import (
	"math"
	"time"
)

// NoDay stands for "no date" where a day number is expected. Day numbers count
// days since 1970-01-01 in the proleptic Gregorian calendar.
const NoDay int32 = math.MinInt32

// Draft is what is known of a job when it is created.
type Draft struct {
	ID       string // of NewID; also the id of its upload
	Tenant   string
	Channel  string // the door it came by: "tus", …
	Filename string // as the client says; "" when it says none
	// The configurations as sent, JSON or "". They are kept as text because a
	// number that passes through a float is another number.
	CreditConfig, AggregateConfig, ParseConfig string
	SHA256                                     []byte // of the whole file, 32 bytes as the client says, or nil
}

// Job is one file taken in: a row of jobs with the progress of its upload. It is
// a snapshot and owned by the caller.
type Job struct {
	Draft
	State State
	Stage Stage // "" unless State is InProgress
	// Version counts the changes that a user can see, from 1.
	Version int64

	BytesReceived int64 // acknowledged by the upload so far
	BytesTotal    int64 // -1 while the upload's length is deferred
	// Of the whole file; zero, zero and NoDay until State was UploadComplete.
	SizeBytes    int64
	CRC64        uint64 // CRC-64/NVME
	ReferenceDay int32  // the UTC day on which the last byte came: the model's clock
	// Digested says that CRC64 is known: what was received here always is, an object
	// that is read in place not before it was read to its end.
	Digested bool
	// DuplicateOf is the oldest other job of the tenant's with the same size and
	// CRC-64, "" when there is none that is older than this one. Nothing follows from
	// it: a file that comes twice is processed twice.
	DuplicateOf string

	// Of the attempt that runs or was the last: source bytes read, records.
	ProcessedBytes, RowsAccepted, RowsRejected int64
	// RejectsByReason counts RowsRejected by the parser's words. It is not nil, and
	// empty where the attempt was that of a worker that did not count them yet.
	RejectsByReason map[string]int64

	Traceparent string // what began its trace, of span.Traceparent; "": nothing did

	Fence          int64     // raised by every step; who knows an older one holds nothing
	Worker         string    // who claimed it last; "" until then
	Attempts       int       // claims so far
	LeaseExpiresAt time.Time // zero unless State is InProgress

	// WaitReason is a clause that says why a queued job waits, "" when for its turn
	// alone; WaitUntil is when it is tried again.
	WaitReason string
	WaitUntil  time.Time
	Deaths     int // of workers that ran this job and no other

	Error    *Error // nil unless State is Failed or Aborted
	CanRetry bool   // whether a retry can help

	CreatedAt, UpdatedAt time.Time
	StartedAt            time.Time // last claim; zero until then
	CompletedAt          time.Time // zero unless State is terminal

	// Result is nil until the job is JobComplete, or Failed with rejects worth
	// downloading.
	Result *Result
}

// Object is one S3 object pinned to its contents.
type Object struct {
	Key       string // "": there is no such object
	VersionID string // "" where the bucket keeps no versions
	ETag      string
	SizeBytes int64
	CRC64     uint64 // CRC-64/NVME of the object; 0 where it was not written here
}

// Result sums up a finished job. Its offers are rows of their own.
type Result struct {
	// SourceCRC64 is the CRC-64/NVME of the bytes that were read, of SourceRead when
	// that was all of them. It is the job's, not the result's: it is not read back.
	SourceCRC64 uint64
	SourceRead  bool
	// RejectsByReason counts RowsRejected. It is the job's as well.
	RejectsByReason map[string]int64

	Engine           string // of the formulas: "cashflow-1"
	ModelVersion     string // the label from the configuration
	ConfigUsed       string // the effective configuration, JSON with every key
	ConfigSHA256     []byte // of ConfigUsed, 32 bytes
	AsOfDay          int32  // NoDay when no row counted
	CurrencyExponent int    // decimals of the currency: 2 means cents
	GroupBy          []string

	TransactionsProcessed int64 // records accepted
	RowsRejected          int64
	FutureRows            int64 // accepted but dated too late for the model
	AggregatesCreated     int64
	OffersGenerated       int64 // approved decisions
	Declined              int64
	Skipped               int64 // series without a row to decide on
	Duration              time.Duration

	Aggregates Object // Parquet; an empty Key means none
	Rejects    Object // CSV; an empty Key means none
}

// Progress is how far the attempt that holds a job has come.
type Progress struct {
	Stage                                      Stage
	ProcessedBytes, RowsAccepted, RowsRejected int64 // since the attempt began
	RejectsByReason                            map[string]int64
}

// Filter chooses and pages jobs. Zero fields do not filter.
type Filter struct {
	State   State
	Channel string
	Query   string // part of the filename in any case, or a whole id
	Before  string // only jobs whose id is smaller: the last id of the page before
	Limit   int    // 1 to 1000; 0 means 50
}
