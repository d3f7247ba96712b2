// Package host holds the words for one server: what is installed and running on it
// (Inventory) and what guards it right now (Protection). It is pure: collectors in
// inventory fill it, triage reads it. An absent fact is the zero value and means
// "unknown", never "no"; where the difference matters a field says so.
package host

import (
	"cmp"
	"strings"
	"time"
)

// Inventory is one server at one moment.
type Inventory struct {
	Host      Host      `json:"host"`
	Collected time.Time `json:"collected,omitzero"`
	// Origin says how it was made: "live", "root" (a mounted root, nothing runs) or "file".
	Origin   string    `json:"origin,omitempty"`
	Packages []Package `json:"packages"`
	Kernel   Kernel    `json:"kernel,omitzero"`
	// Processes are the running processes that own a listener, map a replaced file
	// or belong to a package; nil when unknown (a mounted root), empty when none.
	Processes []Process `json:"processes"`
	Windows   *Windows  `json:"windows,omitempty"`
	// Unread lists what could not be read, with the reason: nothing is lost silently.
	Unread []Unread `json:"unread,omitempty"`
}

// Host names the server and its system.
type Host struct {
	ID        string   `json:"id,omitempty"` // machine id, or a stable name
	Name      string   `json:"name"`
	OS        OS       `json:"os"`
	Arch      string   `json:"arch,omitempty"`      // Go's word: "amd64", "arm64"
	Addresses []string `json:"addresses,omitempty"` // of all interfaces but loopback; nil when unknown
	// Importance is what the owner stated: "low", "medium", "high", "very-high"; empty when not stated.
	Importance string   `json:"importance,omitempty"`
	Labels     []string `json:"labels,omitempty"`
}

// OS is what /etc/os-release says, or Windows' product name.
type OS struct {
	ID        string   `json:"id"`                   // "debian", "ubuntu", "rocky", "almalinux", "rhel", "alpine", "windows"
	IDLike    []string `json:"id_like,omitempty"`    //
	VersionID string   `json:"version_id,omitempty"` // "12", "22.04", "9.4", "3.19.1"
	Codename  string   `json:"codename,omitempty"`   // "bookworm"
	Name      string   `json:"name,omitempty"`       // PRETTY_NAME, or "Windows Server 2019"
	CPE       string   `json:"cpe,omitempty"`        // CPE_NAME where given
	// LTS is true for an Ubuntu long-term release.
	LTS bool `json:"lts,omitempty"`
	// Channels are support subscriptions in force that have records of their own:
	// "eus", "aus", "e4s", "tus" (Red Hat), "pro" (Ubuntu). Empty: the normal release.
	Channels []string `json:"channels,omitempty"`
}

// Package is one installed binary package, and the source it was built from.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"` // as its manager writes it, with epoch where there is one: "1:9.2p1-2+deb12u3", "32:9.16.23-11.el9"
	Arch    string `json:"arch,omitempty"`
	// Source and SourceVersion name the source package; equal to Name and Version where the database says nothing else.
	Source        string `json:"source"`
	SourceVersion string `json:"source_version"`
	// Kind is the manager: "dpkg", "rpm", "apk", or "component" for what an SBOM
	// lists without one.
	Kind   string `json:"kind"`
	Vendor string `json:"vendor,omitempty"` // rpm's Vendor, dpkg's Origin, where given
	Module string `json:"module,omitempty"` // RPM module stream "nodejs:18:…", as rpm's Modularitylabel
	CPE    string `json:"cpe,omitempty"`    // from an SBOM
	PURL   string `json:"purl,omitempty"`   // from an SBOM
	// Ecosystem overrides the host's (an SBOM component of another system).
	Ecosystem string `json:"ecosystem,omitempty"`
}

// Kernel compares the kernel that runs with those installed.
type Kernel struct {
	Running string `json:"running,omitempty"` // uname -r; empty when nothing runs
	// RunningPackage is the binary package that owns the running image, empty when
	// no package owns it (self-built, a container, a virtual machine's own).
	RunningPackage string `json:"running_package,omitempty"`
	// RunningVersion is the package version the running kernel says it was built as
	// (Debian writes it into uname -v). It differs from the installed version of the
	// same release when an update kept the release name and nobody has rebooted.
	RunningVersion string            `json:"running_version,omitempty"`
	Installed      []InstalledKernel `json:"installed,omitempty"`
}

// InstalledKernel is one kernel image on disk.
type InstalledKernel struct {
	Release string `json:"release"` // as uname -r would say: "6.1.0-21-amd64"
	Package string `json:"package,omitempty"`
	Version string `json:"version,omitempty"` // of Package
}

// Process is one running process as far as triage needs it.
type Process struct {
	PID     int    `json:"pid"`
	Name    string `json:"name"`           // comm
	Exe     string `json:"exe,omitempty"`  // resolved path
	Unit    string `json:"unit,omitempty"` // systemd unit: "nginx.service"
	User    string `json:"user,omitempty"`
	Package string `json:"package,omitempty"` // binary package that owns Exe
	// Libraries are the binary packages whose files it has mapped.
	Libraries []string   `json:"libraries,omitempty"`
	Listeners []Listener `json:"listeners,omitempty"`
	// Replaced lists mapped files that were deleted or replaced on disk: it still
	// runs the old code until it is restarted.
	Replaced []Replaced `json:"replaced,omitempty"`
}

// Listener is one socket a process accepts traffic on.
type Listener struct {
	Protocol string `json:"protocol"` // "tcp", "tcp6", "udp", "udp6"
	Address  string `json:"address"`  // "0.0.0.0", "::", "127.0.0.1"
	Port     int    `json:"port"`
}

// Replaced is a mapped file whose package has been updated under a running process.
type Replaced struct {
	Path    string `json:"path"`
	Package string `json:"package,omitempty"` // binary package that owns Path now
	// Version is the version of Package that the mapped file came from, where the package manager's log still tells; empty when unknown.
	Version string `json:"version,omitempty"`
}

// Windows is what a Windows server reports of its updates.
type Windows struct {
	Product string   `json:"product"`         // "Windows Server 2019"
	Core    bool     `json:"core,omitempty"`  // Server Core installation
	Build   string   `json:"build,omitempty"` // "10.0.17763.1217"
	KBs     []string `json:"kbs"`             // digits only
	// CodeIntegrity and Defender are what Windows says of protections of its own; nil
	// when no export says it.
	CodeIntegrity *CodeIntegrity `json:"code_integrity,omitempty"`
	Defender      *Defender      `json:"defender,omitempty"`
}

// CodeIntegrity is what Win32_DeviceGuard reports: whether a code integrity policy is
// in force, not which.
type CodeIntegrity struct {
	User   string `json:"user,omitempty"`   // of programs and libraries: Off, Observe, Enforce
	Kernel string `json:"kernel,omitempty"` // of drivers: Off, Observe, Enforce
	// Services are the running services of virtualization-based security:
	// "credential-guard", "memory-integrity", "secure-launch", "smm-measurement", or
	// the number of one we do not know.
	Services []string `json:"services,omitempty"`
}

// Defender is what Get-MpPreference reports of Microsoft Defender Antivirus.
type Defender struct {
	Realtime string `json:"realtime,omitempty"` // "on" or "off"; without it no attack surface reduction rule works
	// ReductionRules are the attack surface reduction rules that are set.
	ReductionRules []ReductionRule `json:"reduction_rules,omitempty"`
	// ControlledFolders is controlled folder access: Off, Observe, Enforce.
	ControlledFolders string `json:"controlled_folders,omitempty"`
}

// ReductionRule is one attack surface reduction rule.
type ReductionRule struct {
	ID   string `json:"id"`   // lower-case GUID
	Mode string `json:"mode"` // Off, Observe, Enforce, or "warn": whoever is asked may go on
}

// SameUnit tells whether p and q were built from the same source package in the same
// version and module: what triage judges together.
func (p *Package) SameUnit(q *Package) bool {
	return p.Source == q.Source && p.SourceVersion == q.SourceVersion && p.Kind == q.Kind &&
		p.Module == q.Module && p.Ecosystem == q.Ecosystem && p.CPE == q.CPE
}

// Importances are the words for Host.Importance, least first: SSVC's human impact.
var Importances = []string{"low", "medium", "high", "very-high"}

// ComparePackages is the order inventories list packages in: what was built from one
// source stands together, so that triage need not sort a whole fleet again.
func ComparePackages(a, b *Package) int {
	return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.SourceVersion, b.SourceVersion),
		strings.Compare(a.Kind, b.Kind), strings.Compare(a.Module, b.Module), strings.Compare(a.Ecosystem, b.Ecosystem),
		strings.Compare(a.CPE, b.CPE), strings.Compare(a.Name, b.Name), strings.Compare(a.Arch, b.Arch),
		strings.Compare(a.Version, b.Version), strings.Compare(a.PURL, b.PURL))
}
