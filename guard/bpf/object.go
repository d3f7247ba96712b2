package bpf

// Object is the compiled programs, to tell one version from another.
func Object() []byte { return _GuardBytes }
