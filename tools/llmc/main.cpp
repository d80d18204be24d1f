#include "compiler/driver/Driver.h"

int main(int argc, char **argv) { return llmc::runDriver(argc, argv); }
