package main

import (
	"crypto/x509"
	"fmt"
	"regexp"
	"strings"
)

// globalCategory is a code of the Global list of merchant categories. API v2's own list has codes of three digits, which v3 does not take.
var globalCategory = regexp.MustCompile(`^[0-9]{4}$`)

// upgradePath says what API v3 needs and this till has, or has not (upgrade page of API v3 Global: a CA-issued certificate and the API v3
// key, no application; app id and merchant numbers stay as they are).
func (c *checker) upgradePath() {
	needs := c.v3Needs()
	if c.cfg.WeChat.API == "v3" {
		var missing []string
		for _, n := range needs {
			if n.lacks != "" {
				missing = append(missing, n.lacks)
			}
		}
		if len(missing) == 0 {
			c.ok("API v3", "nothing is missing: %s", joined(needs))
			return
		}
		c.warn("API v3", strings.Join(missing, ", "), "mend what is marked above; with a category code of API v2's list, write the one of the Global list")
		return
	}
	lacking := 0
	for _, n := range needs {
		if n.lacks != "" {
			lacking++
			c.ok("move to API v3", "%s: %s", n.lacks, n.cure)
		}
	}
	if lacking == 0 {
		c.ok("move to API v3", "possible at any quiet hour with api = \"v3\"; open orders are finished by v2. There are: %s", joined(needs))
	}
}

// v3Need is one thing that API v3 needs.
type v3Need struct {
	has   string // what there is
	lacks string // "" where it is there
	cure  string
}

func joined(needs []v3Need) string {
	var all []string
	for _, n := range needs {
		all = append(all, n.has)
	}
	return strings.Join(all, ", ")
}

func (c *checker) v3Needs() []v3Need {
	return []v3Need{certificateForV3(c.creds.Certificate), keyForV3(c.creds.APIv3Key), categoryForV3(c.cfg.WeChat.MerchantCategoryCode)}
}

func certificateForV3(cert *x509.Certificate) v3Need {
	n := v3Need{cure: "the super administrator clicks Upgrade on the Merchant Platform (Account Center, API Security); the new one serves API v2 too"}
	if cert == nil {
		n.lacks, n.cure = "no merchant certificate", "install the CA-issued one of the Merchant Platform"
		return n
	}
	switch kind, odd := kindOf(cert); kind {
	case kindCA:
		n.has = "CA-issued certificate"
	case kindWeChat:
		n.lacks = "the certificate is issued by WeChat Pay itself, and API v3 takes CA-issued ones only"
	default:
		n.has = "certificate of unknown kind (" + odd + ")"
	}
	return n
}

func keyForV3(key []byte) v3Need {
	if len(key) == apiKeyBytes {
		return v3Need{has: "API v3 key"}
	}
	return v3Need{lacks: "no API v3 key of 32 characters", cure: "set one on the Merchant Platform (Account Center, API Security) and install it as api_v3_key; the API v2 key stays as it is"}
}

func categoryForV3(code string) v3Need {
	switch {
	case globalCategory.MatchString(code):
		return v3Need{has: "merchant category code " + code}
	case code == "":
		return v3Need{lacks: "no merchant_category_code", cure: "write the four digits of the Global list of merchant categories"}
	}
	return v3Need{lacks: fmt.Sprintf("merchant_category_code %q is not of the Global list", code), cure: "write the four digits of the Global list; three digits are API v2's own list"}
}
