// The program llmc: verbs, flags and exit codes of CONVENTIONS.
#pragma once

namespace llmc {

// 0 done; 1 an error, said on stderr; 2 wrong usage, or something that is not built; 130 after SIGINT.
int runDriver(int argc, char **argv);

} // namespace llmc
