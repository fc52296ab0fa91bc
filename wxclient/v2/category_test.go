package v2

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The API v2 rules (2025.03.24), heading "Business Category".
func TestCategoriesAreTheDocuments(t *testing.T) {
	assert.Len(t, Categories(), 18)
	for code, want := range map[string]string{"343": "Shoes&Garments", "485": "Food", "491": "Hotel Industry", "528": "Overseas Education", "533": "Medical Service"} {
		name, listed := CategoryName(code)
		assert.True(t, listed)
		assert.Equal(t, want, name)
	}
	_, listed := CategoryName("4111")
	assert.False(t, listed, "a pay call's code is another list's")
	Categories()[0].Name = "changed"
	assert.Equal(t, "Shoes&Garments", Categories()[0].Name)
}
