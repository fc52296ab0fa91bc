package till

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAxeFindsNoFaultInAnyState runs axe-core over every story, light and dark. POSAGENT_AXE names its axe.min.js (npm pack axe-core@4.10.2);
// it is no part of this repository. POSAGENT_REQUIRE_AXE=1 fails where it is not there.
func TestAxeFindsNoFaultInAnyState(t *testing.T) {
	file := os.Getenv("POSAGENT_AXE")
	if file == "" {
		if os.Getenv("POSAGENT_REQUIRE_AXE") == "1" {
			t.Fatal("POSAGENT_REQUIRE_AXE=1, and POSAGENT_AXE names no axe.min.js")
		}
		t.Skip("axe-core is not run: POSAGENT_AXE names no axe.min.js (npm pack axe-core@4.10.2)")
	}
	axe, err := os.ReadFile(file)
	require.NoError(t, err)
	b, _, web := aShop(t, openBrowser(t))
	b.do(chromedp.EmulateViewport(1024, 768))
	for _, theme := range []string{"light", "dark"} {
		b.do(chromedp.Navigate(web.URL+"/page/storybook.html?theme="+theme), chromedp.WaitVisible(".storybook"))
		b.do(chromedp.Evaluate[chromedp.Void](string(axe) + ";undefined"))
		found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](axeOverStories, chromedp.EvalAwaitPromise))
		require.NoError(t, err)
		assert.Empty(t, found, "%s:\n%s", theme, strings.Join(found, "\n"))
	}
}

// axeOverStories renders every story and returns what axe-core has against it.
const axeOverStories = `(async () => {
  const { patch } = await import('/page/dom.js');
  const { render } = await import('/page/view.js');
  const { stateOf } = await import('/page/storybook.js');
  const load = async (name) => (await fetch('/page/' + name)).json();
  const [words, stories] = [await load('words.json'), await load('stories.json')];
  const root = document.getElementById('page');
  const found = [];
  for (const story of stories) {
    root.replaceChildren();
    patch(root, [render(stateOf(story, words, 'en')).tree]);
    document.documentElement.lang = 'en';
    const { violations } = await axe.run(root, { resultTypes: ['violations'] });
    for (const v of violations) found.push(story.name + ': ' + v.id + ': ' + v.help + ': ' + v.nodes[0].html.slice(0, 160));
  }
  return found;
})()`
