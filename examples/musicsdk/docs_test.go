package musicsdk_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The guides show code of this folder, as it is.
func TestGuidesShowThisCode(t *testing.T) {
	var code strings.Builder
	for _, pattern := range []string{"*.go", "cmd/music/*.go", "musicapi/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			code.WriteString(readFile(t, file))
		}
	}
	inOneLine := oneLine(code.String())
	for _, guide := range []string{"sdk.md", "offline.md"} {
		blocks := strings.Split(readFile(t, filepath.Join("..", "..", "docs", guide)), "```")
		count := 0
		for i := 1; i < len(blocks); i += 2 {
			block, isGo := strings.CutPrefix(blocks[i], "go\n")
			if !isGo {
				continue
			}
			count++
			for part := range strings.SplitSeq(block, "\n\n") {
				if !strings.Contains(inOneLine, oneLine(part)) {
					t.Errorf("%s: not found in the code:\n%s", guide, part)
				}
			}
		}
		if count == 0 {
			t.Errorf("%s shows no code", guide)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// oneLine is text without differences of indentation.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
