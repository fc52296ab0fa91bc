package rig

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAModuleIsLoadedAfterWhatItNeeds(t *testing.T) {
	have := map[string]module{
		"usbhid": {name: "usbhid", depends: []string{"hid", "usbcore"}}, "hid": {name: "hid"},
		"usbcore": {name: "usbcore", depends: []string{"usb_common", "built_in"}}, "usb_common": {name: "usb_common"},
	}
	order, err := loadOrder([]string{"usbhid", "hid"}, have, map[string]bool{"built_in": true})
	require.NoError(t, err)
	var names []string
	for _, m := range order {
		names = append(names, m.name)
	}
	assert.Equal(t, []string{"hid", "usb_common", "usbcore", "usbhid"}, names)
}

func TestAModuleThatIsMissingIsNamed(t *testing.T) {
	_, err := loadOrder([]string{"usbhid"}, map[string]module{"usbhid": {name: "usbhid", depends: []string{"hid"}}}, nil)
	assert.EqualError(t, err, "the kernel's package has no module hid, for usbhid")
}

func TestOnlyFilesOfModulesAreModules(t *testing.T) {
	for file, name := range map[string]string{"./lib/modules/6.1/kernel/drivers/hid/hid-generic.ko": "hid_generic", "modules.order": "", "a.ko.xz": ""} {
		assert.Equal(t, name, moduleName(file), file)
	}
	assert.True(t, inModuleFolder("./lib/modules/6.1/kernel/drivers/usb/host/xhci-pci.ko"))
	assert.False(t, inModuleFolder("./lib/modules/6.1/kernel/drivers/gpu/drm/drm.ko"))
}
