package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// browsers: a page that is a till is let in by the configuration and by the browser; one without the other is a till that does not work.
func (c *checker) browsers() {
	origins := slices.DeleteFunc(slices.Clone(c.cfg.API.CORSOrigins), func(o string) bool { return !strings.HasPrefix(o, "https://") })
	for _, b := range browsers() {
		c.browser(b, origins)
	}
}

// browser checks one browser that is here, or for which init has written a policy.
func (c *checker) browser(b browser, origins []string) {
	file := filepath.Join(c.places.root, b.file)
	check := "browser " + b.name
	text, err := readPolicy(file)
	if err != nil {
		c.failBy(check, err)
		return
	}
	if !c.installed(b) && (text == nil || b.shared) {
		return
	}
	all, err := parsePolicy(file, text)
	if err != nil {
		c.failBy(check, err)
		return
	}
	let := allowedBy(b, all)
	missing := slices.DeleteFunc(slices.Clone(origins), func(o string) bool { return slices.Contains(let, inPolicy(b, o)) })
	unknown := slices.DeleteFunc(slices.Clone(let), func(x string) bool {
		return b.shared || slices.Contains(c.cfg.API.CORSOrigins, x)
	})
	switch {
	case len(missing) > 0:
		c.warn(check, "lets "+missing[0]+" not call this PC without asking the cashier ("+file+")", "run: sudo posagent init --browser-till "+missing[0])
	case len(unknown) > 0:
		c.warn(check, "lets "+unknown[0]+" call this PC, and cors_origins does not name that page",
			"write the page into cors_origins in the [api] section, or run: sudo posagent init --undo --browser-till "+unknown[0])
	case len(origins) > 0:
		c.ok(check, "%s may call this PC (%s)", strings.Join(origins, ", "), file)
	}
}

func (c *checker) installed(b browser) bool {
	return slices.ContainsFunc(b.looks, func(path string) bool {
		_, err := os.Stat(filepath.Join(c.places.root, path))
		return err == nil
	})
}

// inPolicy is how a browser's policy names a page.
func inPolicy(b browser, origin string) string {
	if b.shared {
		return hostOf(origin)
	}
	return origin
}

// allowedBy are the pages that a policy lets call this PC, in every version of the browser.
func allowedBy(b browser, all map[string]any) []string {
	if b.shared {
		policies, _ := objectIn(all, "policies")
		access, _ := objectIn(policies, "LocalNetworkAccess")
		return texts(access, "SkipDomains")
	}
	let := texts(all, chromiumPolicies[0])
	for _, name := range chromiumPolicies[1:] {
		more := texts(all, name)
		let = slices.DeleteFunc(let, func(x string) bool { return !slices.Contains(more, x) })
	}
	return let
}

func texts(in map[string]any, name string) []string {
	list, _ := textsIn(in, name)
	var found []string
	for _, x := range list {
		if text, ok := x.(string); ok {
			found = append(found, text)
		}
	}
	return found
}
