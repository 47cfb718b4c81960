package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	main "sluice/cmd/sluice"
)

var secrets = []string{"SLUICE_API_KEY", "POSTGRES_PASSWORD", "MINIO_ROOT_PASSWORD"}

func loadCompose(t *testing.T, env ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../../docker-compose.yml"}, cli.WithEnv(env), cli.WithInterpolation(true))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

func compose(t *testing.T) *types.Project {
	t.Helper()
	project, err := loadCompose(t, "SLUICE_API_KEY=key-of-the-test", "POSTGRES_PASSWORD=pg", "MINIO_ROOT_PASSWORD=minio")
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeServices(t *testing.T) {
	t.Parallel()
	project := compose(t)
	want := []string{"gateway", "migrate", "minio", "postgres", "worker"}
	if diff := cmp.Diff(want, project.ServiceNames()); diff != "" {
		t.Fatal(diff)
	}
	pinned := regexp.MustCompile(`:[^:@]+@sha256:[0-9a-f]{64}$`)
	for name, s := range project.Services {
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || !slices.Contains(s.CapDrop, "ALL") || s.Privileged {
			t.Errorf("%s has more rights than it needs", name)
		}
		ours := s.Build != nil
		if ours && (!s.ReadOnly || s.User != "") { // the image's own user is nonroot
			t.Errorf("%s: its root must be read-only, its user the image's", name)
		}
		if !ours && !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %s is not pinned", name, s.Image)
		}
		if (s.HealthCheck == nil) != (name == "migrate") {
			t.Errorf("%s: health check: %v", name, s.HealthCheck)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" || name != "gateway" {
				t.Errorf("%s publishes %s:%s", name, port.HostIP, port.Published)
			}
		}
	}
	if !strings.HasPrefix(project.Services["minio"].Image, "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z@") {
		t.Errorf("minio is %s", project.Services["minio"].Image)
	}
}

// TestComposeOrder: nothing of ours starts before what it needs is ready.
func TestComposeOrder(t *testing.T) {
	t.Parallel()
	project := compose(t)
	ready := map[string]string{
		"postgres": types.ServiceConditionHealthy, "minio": types.ServiceConditionHealthy,
		"migrate": types.ServiceConditionCompletedSuccessfully,
	}
	for name, want := range map[string]map[string]string{
		"gateway": ready, "worker": ready, "migrate": {"postgres": types.ServiceConditionHealthy},
	} {
		got := map[string]string{}
		for dependency, d := range project.Services[name].DependsOn {
			got[dependency] = d.Condition
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestComposeStartsTheBinary: this binary's command line accepts each service's
// command, variables and health check, and knows every SLUICE_ variable set.
func TestComposeStartsTheBinary(t *testing.T) { // not parallel: it sets the environment
	for name, s := range compose(t).Services {
		if s.Build == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for key, value := range s.Environment {
				t.Setenv(key, *value)
			}
			command, err := main.NewParser().Parse(s.Command)
			if err != nil {
				t.Fatalf("sluice %v: %v", s.Command, err)
			}
			var known []string
			for _, flag := range command.Flags() {
				known = append(known, flag.Envs...)
			}
			for key := range s.Environment {
				if strings.HasPrefix(key, "SLUICE_") && !slices.Contains(known, key) {
					t.Errorf("%s is not a variable of sluice %v", key, s.Command)
				}
			}
			if s.HealthCheck == nil {
				return
			}
			probe := s.HealthCheck.Test // CMD, then the command
			if _, err := main.NewParser().Parse(probe[2:]); err != nil || probe[1] != "/sluice" {
				t.Errorf("health check %v: %v", probe, err)
			}
		})
	}
}

func TestComposeNeedsItsSecrets(t *testing.T) {
	t.Parallel()
	for _, missing := range secrets {
		var env []string
		for _, name := range secrets {
			if name != missing {
				env = append(env, name+"=x")
			}
		}
		if _, err := loadCompose(t, env...); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}

// TestDockerfile: the image is the one that docker-compose.yml relies on.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	stages := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(text), -1)
	for _, stage := range stages {
		if !regexp.MustCompile(`@sha256:[0-9a-f]{64}$`).MatchString(stage[1]) {
			t.Errorf("%s is not pinned", stage[1])
		}
	}
	for _, line := range []string{`USER nonroot:nonroot`, `ENTRYPOINT ["/sluice"]`} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("the Dockerfile lacks %s", line)
		}
	}
	if last := stages[len(stages)-1][1]; !strings.HasPrefix(last, "gcr.io/distroless/static-") {
		t.Errorf("the last stage is %s", last)
	}
}
