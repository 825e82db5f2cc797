// What libcurl calls of a library at every start that Debian's packages for tests don't bring as an archive.
extern "C" {
int libssh2_init(int) { return 0; }
void libssh2_exit() {}
}
