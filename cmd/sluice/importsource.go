package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// standardInput is the source that a - names.
const standardInput = "-"

// importSource is an open source.
type importSource struct {
	io.ReadCloser

	name string // of the file, "" where it has none
	size int64  // -1 where only its end will tell
}

// checkSource finds out what can be without a server.
func checkSource(source string) error {
	if source == standardInput {
		return nil
	}
	if rest, ok := strings.CutPrefix(source, "s3://"); ok {
		if bucket, key, _ := strings.Cut(rest, "/"); bucket == "" || key == "" {
			return fmt.Errorf("%s: is not an object such as s3://bucket/key", source)
		}
		return nil
	}
	info, err := os.Stat(source)
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s: is a folder", source)
	}
	return err
}

// source opens a file, an object as it is now, or standard input.
func (st *stack) source(ctx context.Context, source string) (*importSource, error) {
	if source == standardInput {
		return &importSource{ReadCloser: os.Stdin, size: -1}, nil
	}
	if rest, ok := strings.CutPrefix(source, "s3://"); ok {
		name, key, _ := strings.Cut(rest, "/")
		bucket := st.bucket.Other(name)
		found, err := bucket.Look(ctx, key, "")
		if err != nil {
			return nil, err
		}
		return &importSource{bucket.Open(ctx, found.Object), path.Base(key), found.SizeBytes}, nil
	}
	file, err := os.Open(source)
	if err != nil {
		return nil, err
	}
	opened := &importSource{file, nameOf(source), -1}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		opened.size = info.Size()
	}
	return opened, nil
}
