package v2

import "slices"

// Category is a merchant's line of business, as merchants of API v2 are signed up under. It is not the four-digit
// merchant_category_code that a pay call of API v3 Global carries.
type Category struct {
	Code string // three digits
	Name string // as the document writes it
}

// categories is the table "Business Category" of the API v2 rules, in its order of codes.
var categories = []Category{
	{"343", "Shoes&Garments"},
	{"484", "Comprehensive mall"},
	{"485", "Food"},
	{"486", "Cosmetics"},
	{"487", "Maternal and infant"},
	{"488", "Digital appliance"},
	{"489", "Logistics"},
	{"490", "Education Industry"},
	{"491", "Hotel Industry"},
	{"492", "Stationery/office supplies"},
	{"493", "Air Ticket"},
	{"494", "Other trade industry"},
	{"528", "Overseas Education"},
	{"529", "Travel ticket"},
	{"530", "Car rental"},
	{"531", "international Conference"},
	{"532", "Software"},
	{"533", "Medical Service"},
}

// Categories returns the table, in the order of the codes.
func Categories() []Category { return slices.Clone(categories) }

// CategoryName returns the name of a code, and whether the table lists it.
func CategoryName(code string) (name string, listed bool) {
	for _, c := range categories {
		if c.Code == code {
			return c.Name, true
		}
	}
	return "", false
}
