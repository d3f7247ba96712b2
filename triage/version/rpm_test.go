package version

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// rpmLoop asks rpm's own comparison for every pair of a file in one process.
const rpmLoop = `%{lua:
local out = io.open(rpm.expand("%answers"), "w")
local a
for line in io.lines(rpm.expand("%pairs")) do
  if a == nil then a = line else
    local ok, c = pcall(rpm.vercmp, a, line)
    if not ok then out:write("!") elseif c < 0 then out:write("<") elseif c > 0 then out:write(">") else out:write("=") end
    a = nil
  end
end
out:close()}`

func TestRPMOrderAgreesWithRPM(t *testing.T) {
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("NOT COMPARED with rpm: it is not installed here (Debian: apt-get install rpm)")
	}
	pairs := generatePairs(rand.New(rand.NewPCG(5, 6)), 60_000, rpmVersion)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "pairs"), filepath.Join(dir, "answers")
	if err := os.WriteFile(in, lines(pairs).Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("rpm", "--define", "pairs "+in, "--define", "answers "+out, "--eval", rpmLoop)
	if msg, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(msg), "error") {
		t.Fatalf("%v\n%s", err, msg)
	}
	answers, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	checkPairs(t, RPM, pairs, answers)
}
