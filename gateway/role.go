package gateway

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"sluice/internal/access"
)

// group is what a route is for. Which role may ask for which stands in rights.
type group string

const (
	sending   group = "send"    // create uploads and jobs, and send their bytes
	following group = "follow"  // how a job gets on: no list, and nothing of its content
	reading   group = "read"    // the list of jobs, and what came of them
	managing  group = "manage"  // change jobs; webhooks, watches, upload tokens
	operating group = "operate" // what is of all tenants: no role of a tenant's
	entering  group = "enter"   // trade what one has for a session
)

// rights are the groups of each role.
var rights = map[access.Role]map[group]bool{
	access.Upload: {entering: true, sending: true, following: true},
	access.Read:   {entering: true, following: true, reading: true},
	access.Admin:  {entering: true, sending: true, following: true, reading: true, managing: true},
}

// groups has each route that asks for a key but for the admin's own. A route that is
// missing here is refused to every role.
var groups = map[string]group{
	"OPTIONS /files":     sending,
	"OPTIONS /files/:id": sending,
	"POST /files":        sending,
	"HEAD /files/:id":    sending,
	"PATCH /files/:id":   sending,
	"DELETE /files/:id":  sending, // of an upload that is complete: managing, see finished

	"POST " + transactionsPath + "/upload-file":                 sending,
	"POST " + transactionsPath + "/stream-upload":               sending,
	"POST " + transactionsPath + "/process-transactions":        sending,
	"POST " + chunkedPath:                                       sending,
	"GET " + chunkedPath + "/:session_id":                       sending,
	"POST " + bulkPath:                                          sending,
	"PUT " + bulkPath + "/:id/upload":                           sending,
	"PATCH " + bulkPath + "/:id/complete":                       sending,
	"GET /api/jobs/:id/status":                                  following,
	"GET /api/jobs/:id/events":                                  following,
	"GET /api/jobs":                                             reading,
	"GET /api/jobs/:id/offers":                                  reading,
	"GET /api/jobs/:id/aggregates":                              reading,
	"GET /api/jobs/:id/portfolio":                               reading,
	"GET /api/jobs/:id/rejects":                                 reading,
	"POST /api/jobs/:id/cancel":                                 managing,
	"POST /api/jobs/:id/retry":                                  managing,
	"DELETE /api/jobs/:id":                                      managing,
	"POST " + webhooksPath + "/register":                        managing,
	"GET " + webhooksPath + "/list":                             managing,
	"DELETE " + webhooksPath + "/:id":                           managing,
	"POST " + webhooksPath + "/:id/enable":                      managing,
	"POST " + webhooksPath + "/:id/rotate":                      managing,
	"GET " + webhooksPath + "/:id/deliveries":                   managing,
	"POST " + webhooksPath + "/:id/deliveries/:delivery/replay": managing,
	"GET /api/watches":                                          managing,
	"POST /api/watches":                                         managing,
	"GET /api/watches/:id":                                      managing,
	"DELETE /api/watches/:id":                                   managing,
	"GET /api/audit":                                            managing,
	"POST " + erasuresPath:                                      managing,
	"GET " + erasuresPath + "/:id":                              managing,
	"POST /api/upload-tokens":                                   managing,
	"POST " + sessionPath:                                       entering,
	"GET " + metricsPath:                                        operating,
}

// groupOf returns what a route is for, or "" of one that nobody listed.
func groupOf(method, route string) group {
	if g, ok := groups[method+" "+route]; ok {
		return g
	}
	if method == http.MethodHead && !strings.HasPrefix(route, filesPath) {
		method = http.MethodGet
	}
	return groups[method+" "+strings.Replace(route, bulkPath+"/:id/", "/api/jobs/:id/", 1)]
}

// permit refuses what the caller's role may not ask for, before anything is looked
// up: so a refusal tells nothing of what is there. Who may do everything is told
// that there is nothing at a path.
func permit(c echo.Context, by caller) error {
	asked := groupOf(c.Request().Method, c.Path())
	switch {
	case rights[by.Role][asked], by.operator && asked == operating, by.Role == access.Admin && asked == "":
		return nil
	case asked == operating:
		return newProblem(http.StatusForbidden, "This shows what is of all tenants: it takes the admin key.").typed("role")
	}
	return newProblem(http.StatusForbidden, "The role "+string(by.Role)+" may not do this; see docs/keys.md for what does.").typed("role")
}
