// lld, in process: objects become a shared object whose instructions and constants lie in one segment, and that
// segment's bytes are the image.
#include "codegen/common/TemporaryFile.h"
#include "codegen/cpu/Compile.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <mutex>

LLD_HAS_DRIVER(elf)

namespace llmc::cpu {

using namespace llvm;

namespace {

// Constants before code, page-aligned as a whole, nothing else loaded with them. The rest of what a shared object has
// (dynamic symbols, hash tables) lies behind and is left out of the image.
constexpr const char *kScript = R"(
PHDRS { code PT_LOAD FLAGS(5); rest PT_LOAD FLAGS(4); dynamic PT_DYNAMIC; }
SECTIONS {
  . = 0x10000;
  .text : ALIGN(4096) { *(.rodata .rodata.*) . = ALIGN(64); *(.text .text.*) } :code
  . = ALIGN(65536);
  .dynsym : { *(.dynsym) } :rest
  .hash : { *(.hash) } :rest
  .gnu.hash : { *(.gnu.hash) } :rest
  .dynstr : { *(.dynstr) } :rest
  .dynamic : { *(.dynamic) } :rest :dynamic
  /DISCARD/ : { *(.eh_frame) *(.comment) *(.note.*) *(.debug*) }
}
)";

Error runLinker(ArrayRef<std::string> objects, StringRef script, StringRef output, const codegen::CpuTier &tier) {
  // lld keeps state between calls and does not allow two at once.
  static std::mutex one;
  std::lock_guard<std::mutex> lock(one);
  std::string scriptPath(script), outputPath(output);
  const char *emulation = StringRef(tier.triple).starts_with("aarch64") ? "aarch64linux" : "elf_x86_64";
  std::vector<const char *> arguments = {"ld.lld", "-m", emulation, "-shared", "-Bsymbolic", "--no-undefined",
                                         "--build-id=none", "-z", "notext", "-z", "norelro", "--threads=1",
                                         "-T", scriptPath.c_str(), "-o", outputPath.c_str()};
  for (const std::string &object : objects) arguments.push_back(object.c_str());
  std::string said;
  raw_string_ostream errors(said);
  lld::DriverDef driver{lld::Gnu, &lld::elf::link};
  lld::Result result = lld::lldMain(arguments, nulls(), errors, {driver});
  if (result.retCode != 0) return createStringError("linking the kernels for " + Twine(tier.name) + " failed: " + said);
  return Error::success();
}

// No import, no relocation, no dependency.
template <typename ElfType> Error checkSelfContained(const object::ELFFile<ElfType> &file, StringRef tier) {
  auto sections = file.sections();
  if (!sections) return sections.takeError();
  for (const auto &section : *sections)
    if ((section.sh_type == ELF::SHT_RELA || section.sh_type == ELF::SHT_REL) && section.sh_size != 0)
      return createStringError("kernels for " + Twine(tier) + " need relocations at load");
  auto dynamic = file.dynamicEntries();
  if (!dynamic) return dynamic.takeError();
  for (const auto &entry : *dynamic)
    if (entry.getTag() == ELF::DT_NEEDED) return createStringError("kernels for " + Twine(tier) + " need a library");
  return Error::success();
}

Expected<Image> extract(MemoryBufferRef buffer, StringRef tier) {
  auto object = object::ObjectFile::createELFObjectFile(buffer);
  if (!object) return object.takeError();
  auto *elf = dyn_cast<object::ELF64LEObjectFile>(object->get());
  if (!elf) return createStringError("the linker made something else than a 64-bit little-endian ELF file");
  if (Error error = checkSelfContained(elf->getELFFile(), tier)) return error;
  Image image;
  uint64_t base = 0;
  for (const object::SectionRef &section : elf->sections()) {
    auto name = section.getName();
    if (!name) return name.takeError();
    if (*name != ".text") continue;
    auto content = section.getContents();
    if (!content) return content.takeError();
    image.code.assign(content->begin(), content->end());
    base = section.getAddress();
  }
  for (const object::ELFSymbolRef symbol : elf->getDynamicSymbolIterators()) {
    auto name = symbol.getName();
    auto address = symbol.getAddress();
    auto flags = symbol.getFlags();
    if (!name) return name.takeError();
    if (!address) return address.takeError();
    if (!flags) return flags.takeError();
    if (*flags & object::SymbolRef::SF_Undefined)
      return createStringError("kernels for " + Twine(tier) + " call '" + *name + "', which nobody defines");
    if (symbol.getELFType() == ELF::STT_FUNC) image.symbols.push_back({name->str(), *address - base, symbol.getSize()});
  }
  return image;
}

} // namespace

Expected<Image> linkImage(ArrayRef<codegen::ObjectFile> objects, const codegen::CpuTier &tier) {
  std::vector<std::string> paths;
  scope_exit removeObjects([&] {
    for (const std::string &path : paths) sys::fs::remove(path);
  });
  for (const codegen::ObjectFile &object : objects) {
    auto path = codegen::writeTemporary("o", StringRef(object.bytes.data(), object.bytes.size()));
    if (!path) return path.takeError();
    paths.push_back(std::move(*path));
  }
  auto scriptPath = codegen::writeTemporary("ld", kScript);
  if (!scriptPath) return scriptPath.takeError();
  scope_exit removeScript([&] { sys::fs::remove(*scriptPath); });
  std::string output = *scriptPath + ".so";
  scope_exit removeOutput([&] { sys::fs::remove(output); });
  if (Error error = runLinker(paths, *scriptPath, output, tier)) return error;
  auto linked = MemoryBuffer::getFile(output);
  if (!linked) return createStringError("cannot read " + output + ": " + linked.getError().message());
  return extract((*linked)->getMemBufferRef(), tier.name);
}

} // namespace llmc::cpu
