package till

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestPicturesOfTheStories keeps a picture of every state for a person to look at: POSAGENT_PICTURES names the folder, POSAGENT_PICTURES_OF
// (a regular expression) chooses states, POSAGENT_PICTURES_AS the windows, as in "1024x768-en,360x640-zh-Hant-dark".
func TestPicturesOfTheStories(t *testing.T) {
	folder := os.Getenv("POSAGENT_PICTURES")
	if folder == "" {
		t.Skip("pictures are asked for with POSAGENT_PICTURES=FOLDER")
	}
	chosen := regexp.MustCompile(os.Getenv("POSAGENT_PICTURES_OF"))
	windows := os.Getenv("POSAGENT_PICTURES_AS")
	if windows == "" {
		windows = "1024x768-en,800x480-zh-Hant,360x640-zh-Hans-dark"
	}
	b, _, web := aShop(t, openBrowser(t))
	for _, w := range strings.Split(windows, ",") {
		var width, height int64
		size, language, _ := strings.Cut(w, "-")
		_, err := fmt.Sscanf(size, "%dx%d", &width, &height)
		require.NoError(t, err)
		language, dark := strings.CutSuffix(language, "-dark")
		b.do(chromedp.EmulateViewport(width, height))
		theme := "light"
		if dark {
			theme = "dark"
		}
		b.do(chromedp.Navigate(web.URL+"/page/storybook.html"), chromedp.WaitVisible(".storybook"))
		for _, s := range stories(loadedWords(t)) {
			if !chosen.MatchString(s.Name) {
				continue
			}
			b.do(chromedp.Navigate(web.URL+"/page/storybook.html?state="+s.Name+"&lang="+language+"&theme="+theme), chromedp.WaitVisible("[data-screen]"))
			picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(folder, s.Name+"-"+w+".png"), picture, 0o600))
		}
	}
}
