package policyexport

// blockedProgram is a program of Windows that runs other code, or is there for
// debugging, and that a server does without. The names are those of Microsoft's
// recommended block rules ("Applications that can bypass App Control"); which utility
// of ours each stands for is judged here.
type blockedProgram struct {
	file string // the name built into the file
	// like are utilities that do on Linux what it does here: one of them refused, and
	// it is.
	like []string
}

var (
	likeBuilding  = []string{"make", "gmake", "cmake", "ninja", "gcc"}
	likeLanguages = []string{"python", "perl", "ruby", "node"}
	likeWrappers  = []string{"env", "xargs", "nohup", "setsid"}
	likeShells    = []string{"sh", "bash", "dash"}
	likeTracers   = []string{"gdb", "strace", "ltrace"}
)

var blockedPrograms = []blockedProgram{
	{"MSBuild.exe", likeBuilding}, {"MSBuild.dll", likeBuilding}, {"Microsoft.Build.dll", likeBuilding}, {"Microsoft.Build.Framework.dll", likeBuilding},
	{"aspnet_compiler.exe", likeBuilding}, {"Microsoft.Workflow.Compiler.exe", likeBuilding}, {"wfc.exe", likeBuilding}, {"TextTransform.exe", likeBuilding},
	{"csi.exe", likeLanguages}, {"rcsi.exe", likeLanguages}, {"fsi.exe", likeLanguages}, {"fsiAnyCpu.exe", likeLanguages}, {"dnx.exe", likeLanguages},
	{"mshta.exe", likeLanguages}, {"wscript.exe", likeLanguages},
	{"AddInProcess.exe", likeWrappers}, {"AddInProcess32.exe", likeWrappers}, {"AddInUtil.exe", likeWrappers}, {"InstallUtil.exe", likeWrappers},
	{"infdefaultinstall.exe", likeWrappers}, {"powershellcustomhost.exe", likeWrappers}, {"runscripthelper.exe", likeWrappers},
	{"visualuiaverifynative.exe", likeWrappers}, {"wmic.exe", likeWrappers},
	{"bash.exe", likeShells}, {"wsl.exe", likeShells}, {"wslconfig.exe", likeShells}, {"wslhost.exe", likeShells}, {"lxrun.exe", likeShells}, {"LxssManager.dll", likeShells},
	{"cdb.exe", likeTracers}, {"kd.exe", likeTracers}, {"ntkd.exe", likeTracers}, {"ntsd.exe", likeTracers}, {"windbg.exe", likeTracers},
	{"dbghost.exe", likeTracers}, {"dbgsrv.exe", likeTracers}, {"dbgsvc.exe", likeTracers},
	{"kill.exe", []string{"kill", "pkill"}},
}

// administering are programs attackers live off just as well, and that administrators
// or Windows itself cannot do without.
var administering = "cmd, powershell, pwsh, cscript, certutil, bitsadmin, curl, ftp, dotnet, msiexec, net, reg, regsvr32, rundll32, sc, schtasks, ssh, tar"

// serviceFolders lie inside Windows and belong to accounts of services, which App
// Control takes for administrators: what they put there would launch.
var serviceFolders = []string{`%WINDIR%\ServiceProfiles\*`, `%SYSTEM32%\catroot2\*`, `%SYSTEM32%\MsDtc\*`}

// everyServer are the folders every Windows server has that hold programs, with the
// places of a policy they stand for.
var everyServer = []struct {
	path   string
	stands []string
}{
	{`%WINDIR%\*`, []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/var/lib/dpkg", "/var/cache/debconf"}},
	{`%OSDRIVE%\Program Files\*`, []string{"/usr", "/opt", "/usr/local"}},
	{`%OSDRIVE%\Program Files (x86)\*`, []string{"/usr", "/opt", "/usr/local"}},
}
