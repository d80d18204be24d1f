// The families, one file each; Registry.cpp lists them.
#pragma once

#include "models/Family.h"

namespace llmc::models {

Family llamaFamily();
Family mistralFamily();
Family qwen2Family();
Family qwen3Family();
Family gpt2Family();

} // namespace llmc::models
