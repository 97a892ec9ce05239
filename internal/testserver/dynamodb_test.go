package testserver

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// answers reports whether something at a server's address does.
func answers(t *testing.T, d *DynamoDB) bool {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + address(d.port))
	if err != nil {
		return false
	}
	response.Body.Close()
	return true
}

func TestDynamoDB(t *testing.T) {
	dir := openDir(t)
	begin := time.Now()
	d, err := StartDynamoDB(t.Context(), &Options{Dir: dir})
	if errors.Is(err, errNotInstalled) || errors.Is(err, errNoNPM) {
		testenv.Skip(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop()
	t.Logf("started in %v", time.Since(begin))
	url := d.URL()
	if !answers(t, d) {
		t.Error("it does not answer")
	}
	if err := d.Kill(); err != nil || answers(t, d) {
		t.Errorf("after its end it answers: %v", err)
	}
	if err := d.Restart(t.Context()); err != nil || !answers(t, d) || d.URL() != url {
		t.Errorf("after a restart: %v", err)
	}
	if err := errors.Join(d.Stop(), d.Stop()); err != nil {
		t.Error(err)
	}
	if answers(t, d) {
		t.Error("it is still there")
	}
	expectEmpty(t, dir)
}

func TestDynamoDBIsUnpackedOnlyIfItIsTheOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "package.tgz")
	if err := os.WriteFile(file, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "folder")
	if err := dynamoDBLocal.unpack(file, folder); err == nil {
		t.Error("another package was unpacked")
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("the folder was made")
	}
}
