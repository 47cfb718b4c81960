package gateway

import (
	"embed"

	"github.com/labstack/echo/v4"
)

//go:embed web/index.html web/app.js web/style.css
var web embed.FS

// mountPage serves the page and its two files.
func mountPage(e *echo.Echo) {
	for path, name := range map[string]string{"/": "index.html", "/app.js": "app.js", "/style.css": "style.css"} {
		get(e, path, func(c echo.Context) error {
			c.Response().Header().Set("Cache-Control", "no-cache")
			return echo.StaticFileHandler("web/"+name, web)(c)
		})
	}
}
