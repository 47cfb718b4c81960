package gateway

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/labstack/echo/v4"
)

// The page as Vite built it of web/src, committed so that Go alone builds the
// product; `make check` builds it anew and compares.
//
//go:embed web/dist
var dist embed.FS

// openAPI is the contract; the page reads it out at /docs.
//
//go:embed openapi.yaml
var openAPI []byte

// mountPage serves the page, which shows by its path what it is, and its files.
func mountPage(e *echo.Echo) {
	web, err := fs.Sub(dist, "web/dist")
	if err != nil { // the name is a constant
		panic(err)
	}
	for _, path := range []string{"/", "/docs"} {
		get(e, path, static("index.html", web))
	}
	get(e, "/openapi.yaml", func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-cache")
		return c.Blob(http.StatusOK, "application/yaml", openAPI)
	})
	for _, name := range assets(web) {
		get(e, "/"+name, static(name, web))
	}
}

func static(name string, web fs.FS) echo.HandlerFunc {
	serve := echo.StaticFileHandler(name, web)
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-cache")
		return serve(c)
	}
}

// assets names the scripts and the style that the page loads.
func assets(web fs.FS) []string {
	names, err := fs.Glob(web, "*.*s")
	if err != nil { // the pattern is a constant
		panic(err)
	}
	return names
}
