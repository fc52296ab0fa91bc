package posagent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The outside vectors are known answers that nobody here wrote; POSAGENT_VECTORS names their folder. Whether a case of theirs is
// run is not told but tried: each case is broken in a copy of the folder, one at a time, and some package's test must turn red.
// What no test looks at stays green, and is named here.
//
// A test takes part when it says so: its text names the vectors, as vectors(t, "rsa.json", …) does. The simulator's own do not
// count: they are no part of what goes to a store.

func TestEachCaseOfTheOutsideVectorsIsRunBySomeTest(t *testing.T) {
	folder := os.Getenv("POSAGENT_VECTORS")
	if folder == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("POSAGENT_VECTORS is not set, and CI must run the outside vectors")
		}
		t.Skip("outside vectors not run")
	}
	takesMinutes(t)
	judges := buildJudges(t)
	require.NotEmpty(t, judges)
	for _, j := range judges {
		require.Truef(t, j.green(t, folder), "%s fails on the vectors as they are", j.folder)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	require.NoError(t, err)
	require.NotEmptyf(t, files, "no vectors in %s", folder)
	var damages []damage
	for _, path := range files {
		damages = append(damages, damagesOf(t, path)...)
	}
	unseen := tryEach(t, folder, judges, damages)
	assert.Emptyf(t, unseen, "%d of %d cases are run by no test", len(unseen), len(damages))
	t.Logf("outside vectors: %d cases run", len(damages)-len(unseen))
}

// takesMinutes leaves a proof that builds and runs many test programs to .ci/run, which runs these in a step of their own, once.
func takesMinutes(t *testing.T) {
	t.Helper()
	switch {
	case os.Getenv("CI") != "true":
		t.Skip("not run here: it builds and runs many test programs and takes minutes; CI=true runs it")
	case os.Getenv("POSAGENT_PROOFS_APART") != "":
		t.Skip("run in a step of its own")
	}
}

// judge is a package's test program.
type judge struct {
	folder, program string
	tests           []string
	reads           []string // the vector files that its tests name
}

var (
	namesVectors = regexp.MustCompile(`(?i)vectors`)
	namedFile    = regexp.MustCompile(`"([a-z0-9_]+\.json)"`)
)

// buildJudges compiles the tests of each package in which some test names the vectors.
func buildJudges(t *testing.T) (all []judge) {
	t.Helper()
	found := map[string]*judge{}
	eachGoFile(t, func(path string, file *ast.File, set *token.FileSet) {
		home := filepath.ToSlash(filepath.Dir(path))
		if home == "." || home == "wxsim" || !strings.HasSuffix(path, "_test.go") {
			return
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if !namesVectors.Match(text) {
			return
		}
		if found[home] == nil {
			found[home] = &judge{folder: home, program: filepath.Join(t.TempDir(), "judge.test")}
		}
		found[home].learn(string(text), file, set)
	})
	for _, home := range slices.Sorted(maps.Keys(found)) {
		j := *found[home]
		if len(j.tests) == 0 || len(j.reads) == 0 {
			continue
		}
		out, err := exec.Command("go", "test", "-c", "-o", j.program, "./"+home).CombinedOutput()
		require.NoErrorf(t, err, "%s", out)
		all = append(all, j)
	}
	return all
}

// learn takes the tests and the vector files that a test file names.
func (j *judge) learn(text string, file *ast.File, set *token.FileSet) {
	for _, m := range namedFile.FindAllStringSubmatch(text, -1) {
		j.reads = append(j.reads, m[1])
	}
	for _, declared := range file.Decls {
		f, ok := declared.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
			continue
		}
		if namesVectors.MatchString(text[set.Position(f.Pos()).Offset:set.Position(f.End()).Offset]) {
			j.tests = append(j.tests, f.Name.Name)
		}
	}
}

// green reports that the package's tests of the vectors pass on a folder of them.
func (j judge) green(t *testing.T, folder string) bool {
	t.Helper()
	run := exec.Command(j.program, "-test.run", "^("+strings.Join(j.tests, "|")+")$", "-test.timeout", "60s")
	run.Dir = j.folder
	run.Env = append(os.Environ(), "CI=true", "POSAGENT_VECTORS="+folder)
	return run.Run() == nil
}

// damage is one broken case.
type damage struct {
	file, name string
	text       []byte // the whole file with it
}

// tryEach returns the damages that no judge sees.
func tryEach(t *testing.T, folder string, judges []judge, damages []damage) (unseen []string) {
	t.Helper()
	var mu sync.Mutex // guards unseen
	var all sync.WaitGroup
	work := make(chan damage)
	for range 2 {
		all.Go(func() {
			for d := range work {
				if !seen(t, folder, judges, d) {
					mu.Lock()
					unseen = append(unseen, d.file+": "+d.name)
					mu.Unlock()
				}
			}
		})
	}
	for _, d := range damages {
		work <- d
	}
	close(work)
	all.Wait()
	slices.Sort(unseen)
	return unseen
}

func seen(t *testing.T, folder string, judges []judge, d damage) bool {
	broken, err := os.MkdirTemp(t.TempDir(), "")
	require.NoError(t, err)
	require.NoError(t, os.CopyFS(broken, os.DirFS(folder)))
	require.NoError(t, os.WriteFile(filepath.Join(broken, d.file), d.text, 0o600))
	return slices.ContainsFunc(judges, func(j judge) bool { return slices.Contains(j.reads, d.file) && !j.green(t, broken) })
}

// breaker damages one case of a group; whole is the file.
type breaker func(whole map[string]any, c any) any

// vectorGroups says of each group of each file what its cases are broken by; nil: words about the file, not cases.
var vectorGroups = map[string]map[string]breaker{
	"aes_gcm.json": {"note": nil,
		"decrypt_ok":    set(map[string]any{"key": strings.Repeat("k", 32), "nonce": strings.Repeat("n", 12)}),
		"decrypt_error": likeFirst("decrypt_ok", func(c map[string]any) bool { return len(c["key"].(string)) == 32 && len(c["nonce"].(string)) == 12 }, "key", "nonce", "associated_data", "ciphertext_b64")},
	"bill_v2.json":       {"source": nil, "rules": nil, "csv_base64": spoilWhole, "sha1_hex": spoilWhole, "expect": spoilWhole},
	"cert_download.json": {"note": nil, "cases": breakCertificatesAnswer},
	"certificates.json":  {"note": nil, "certificates": spoil("serial_hex")},
	"formatter.json": {"source": nil, "request_message": spoil("message"), "response_message": spoil("message"), "authorization_shape": spoilWhole,
		"statement_message": spoilWhole, "no_content_message": spoilWhole},
	"global_v3_samples.json": {"source": nil, "samples": spoilWhole},
	"notification.json":      {"note": nil, "cases": breakNotification},
	"outcomes.json": {"note": nil, "code_normalisation": nil, "v2_refund_source": nil, "v2_micropay": otherClass("v2_micropay"), "v2_refund": otherClass("v2_refund"),
		"v3_http": otherClass("v3_http"), "trade_state": spoilWhole},
	"payment_code.json": {"rule": nil, "source": nil, "accept": set(map[string]any{"code": "6901234567892"}), "accept_if_configured": set(map[string]any{"code": "6901234567892"}),
		"reject": set(map[string]any{"code": "134650720866361395"})},
	"rsa.json":         {"note": nil, "sign": spoil("signature_b64"), "verify": spoil("expect"), "oaep": breakOAEP},
	"v2_req_info.json": {"source": nil, "rule": nil, "decrypt": spoil("plaintext"), "raw_ecb": spoil("plaintext"), "must_fail": likeFirst("decrypt", nil, "api_key", "req_info_base64"), "leading_zero_key": spoilWhole},
	// The derived properties are sentences; the tests of wxclient/v2 hold each.
	"v2_sign.json": {"note": nil, "derived_properties": nil, "cases": spoil("sign"), "md5_hash_kat": spoil("md5")},
	"xml.json": {"source": nil, "must_reject": likeFirst("must_parse", nil, "xml"), "own_additions_must_reject": likeFirst("must_parse", nil, "xml"),
		"must_parse": spoil("expect")},
}

// damagesOf returns each case of a file, broken. A file or a group that vectorGroups does not know ends the test: somebody must
// say what its cases are.
func damagesOf(t *testing.T, path string) (all []damage) {
	t.Helper()
	file := filepath.Base(path)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	groups, known := vectorGroups[file]
	require.Truef(t, known, "%s is new among the vectors: say in vectorGroups what its cases are", file)
	for _, group := range slices.Sorted(maps.Keys(decode(t, text))) {
		harm, known := groups[group]
		require.Truef(t, known, "%s: group %s is new: say in vectorGroups what its cases are", file, group)
		if harm == nil {
			continue
		}
		for _, at := range places(decode(t, text)[group]) {
			whole := decode(t, text)
			whole[group] = at.put(whole[group], func(c any) any { return harm(whole, c) })
			broken, err := json.Marshal(whole)
			require.NoError(t, err)
			require.NotEqualf(t, mustMarshal(decode(t, text)), broken, "%s: %s%s is not broken", file, group, at.name)
			all = append(all, damage{file, group + at.name, broken})
		}
	}
	return all
}

// place is where a case stands in its group: an item of a list, a member of an object, or the whole of a text.
type place struct {
	name string
	put  func(group any, harm func(any) any) any
}

func places(group any) (all []place) {
	switch group := group.(type) {
	case []any:
		for i, c := range group {
			name := fmt.Sprintf("[%d]", i)
			if c, ok := c.(map[string]any); ok {
				for _, member := range []string{"id", "name", "err_code", "why", "source"} {
					if text, ok := c[member].(string); ok {
						name += " " + text
						break
					}
				}
			}
			all = append(all, place{name, func(group any, harm func(any) any) any {
				list := group.([]any)
				list[i] = harm(list[i])
				return list
			}})
		}
	case map[string]any:
		for _, member := range slices.Sorted(maps.Keys(group)) {
			if slices.Contains([]string{"source", "rule", "why", "note", "order_free", "body_file"}, member) {
				continue
			}
			all = append(all, place{"." + member, func(group any, harm func(any) any) any {
				object := group.(map[string]any)
				object[member] = harm(object[member])
				return object
			}})
		}
	default:
		all = append(all, place{"", func(group any, harm func(any) any) any { return harm(group) }})
	}
	return all
}

// spoilWhole changes every text, number and truth in a case.
func spoilWhole(_ map[string]any, c any) any { return spoilt(c) }

func spoilt(v any) any {
	switch v := v.(type) {
	case string:
		return "X" + v
	case json.Number:
		return json.Number("1" + strings.TrimPrefix(v.String(), "-"))
	case bool:
		return !v
	case []any:
		for i := range v {
			v[i] = spoilt(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = spoilt(v[name])
		}
	}
	return v
}

// spoil changes one member of a case.
func spoil(member string) breaker {
	return func(_ map[string]any, c any) any {
		object := c.(map[string]any)
		object[member] = spoilt(object[member])
		return object
	}
}

// set gives members of a case other values.
func set(members map[string]any) breaker {
	return func(_ map[string]any, c any) any {
		object := c.(map[string]any)
		maps.Copy(object, members)
		return object
	}
}

// likeFirst makes a case that must be refused into one that is good: the first of another group that fits.
func likeFirst(group string, fits func(map[string]any) bool, members ...string) breaker {
	return func(whole map[string]any, c any) any {
		object := c.(map[string]any)
		for _, good := range whole[group].([]any) {
			good := good.(map[string]any)
			if fits != nil && !fits(good) {
				continue
			}
			for _, member := range members {
				object[member] = good[member]
			}
			return object
		}
		return object
	}
}

// otherClass gives a code the class of another code of its group.
func otherClass(group string) breaker {
	return func(whole map[string]any, c any) any {
		object := c.(map[string]any)
		for _, other := range whole[group].([]any) {
			if class := other.(map[string]any)["class"]; class != object["class"] {
				object["class"] = class
				break
			}
		}
		return object
	}
}

// breakCertificatesAnswer spoils what must come out; where the key is none of WeChat Pay's, it is made one.
func breakCertificatesAnswer(_ map[string]any, c any) any {
	object := c.(map[string]any)
	if key := object["api_v3_key"].(string); len(key) != 32 {
		object["api_v3_key"] = (key + strings.Repeat("k", 32))[:32]
		object["response_body"] = "{}"
		return object
	}
	object["expected"] = spoilt(object["expected"])
	return object
}

// breakNotification: a good one gets another nonce; the times of the window change places; a change of the body is called good.
func breakNotification(_ map[string]any, c any) any {
	object := c.(map[string]any)
	if headers, ok := object["headers"].(map[string]any); ok {
		headers["Wechatpay-Nonce"] = spoilt(headers["Wechatpay-Nonce"])
	}
	if _, ok := object["clock_unix_ok"]; ok {
		object["clock_unix_ok"], object["clock_unix_reject"] = object["clock_unix_reject"], object["clock_unix_ok"]
	}
	if _, ok := object["mutation"]; ok {
		object["expect"] = "success"
	}
	return object
}

func breakOAEP(whole map[string]any, c any) any {
	object := c.(map[string]any)
	if _, good := object["plaintext"]; good {
		return spoil("plaintext")(whole, c)
	}
	return likeFirst("oaep", nil, "ciphertext_b64", "private_key_pem")(whole, c)
}

func decode(t *testing.T, text []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var whole map[string]any
	require.NoError(t, d.Decode(&whole))
	return whole
}

func mustMarshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
