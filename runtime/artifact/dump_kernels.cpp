// Kernels as ELF64 relocatable objects, for disassemblers: our own writer, for the runtime links no LLVM. Follows the
// System V ABI, chapter 4 (object files).
#include "runtime/artifact/code_table.h"
#include "runtime/artifact/inspect.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"

#include <array>
#include <cstring>

namespace llmrt {

namespace {

struct ElfHeader {
  uint8_t ident[16];
  uint16_t type, machine;
  uint32_t version;
  uint64_t entry, program_headers, section_headers;
  uint32_t flags;
  uint16_t header_bytes, program_header_bytes, program_header_count;
  uint16_t section_header_bytes, section_header_count, section_names;
};
struct ElfSection {
  uint32_t name, type;
  uint64_t flags, address, offset, bytes;
  uint32_t link, info;
  uint64_t alignment, entry_bytes;
};
struct ElfSymbol {
  uint32_t name;
  uint8_t info, other;
  uint16_t section;
  uint64_t value, bytes;
};
static_assert(sizeof(ElfHeader) == 64 && sizeof(ElfSection) == 64 && sizeof(ElfSymbol) == 24);

constexpr uint32_t kProgbits = 1, kSymtab = 2, kStrtab = 3;
constexpr uint64_t kAllocExecute = 2 | 4;
constexpr char kSectionNames[] = "\0.text\0.symtab\0.strtab\0.shstrtab\0.note.GNU-stack";
constexpr uint32_t kTextName = 1, kSymtabName = 7, kStrtabName = 15, kShstrtabName = 23, kStackName = 33;

void append(std::string &out, const void *data, size_t bytes) { out.append(static_cast<const char *>(data), bytes); }

ElfHeader file_header(uint32_t architecture, uint64_t section_headers, uint16_t sections) {
  ElfHeader header{};
  constexpr std::array<uint8_t, 7> kIdent = {0x7f, 'E', 'L', 'F', 2 /* 64 bits */, 1 /* little-endian */, 1};
  std::memcpy(header.ident, kIdent.data(), kIdent.size());
  header.type = 1; // relocatable
  header.machine = architecture == LLMRT_ARCH_ARM64 ? 183 : 62;
  header.version = 1;
  header.section_headers = section_headers;
  header.header_bytes = sizeof(ElfHeader);
  header.section_header_bytes = sizeof(ElfSection);
  header.section_header_count = sections;
  header.section_names = 4;
  return header;
}

// The code image as .text, with one function symbol at `offset` in it.
std::string elf_object(uint32_t architecture, std::span<const std::byte> code, const std::string &symbol,
                       uint64_t offset, uint64_t bytes) {
  std::string strings("\0", 1);
  strings += symbol;
  strings += '\0';
  // A local symbol for the section, as tools expect, then the function.
  std::array<ElfSymbol, 3> symbols{};
  symbols[1] = {0, 3 /* section */, 0, 1, 0, 0};
  symbols[2] = {1, (1 << 4) | 2 /* global function */, 0, 1, offset, bytes};

  uint64_t text_at = sizeof(ElfHeader), symbols_at = (text_at + code.size() + 7) / 8 * 8;
  uint64_t strings_at = symbols_at + sizeof symbols, names_at = strings_at + strings.size();
  uint64_t headers_at = (names_at + sizeof kSectionNames + 7) / 8 * 8;
  std::array<ElfSection, 6> sections{};
  sections[1] = {kTextName, kProgbits, kAllocExecute, 0, text_at, code.size(), 0, 0, 64, 0};
  sections[2] = {kSymtabName, kSymtab, 0, 0, symbols_at, sizeof symbols, 3, 2, 8, sizeof(ElfSymbol)};
  sections[3] = {kStrtabName, kStrtab, 0, 0, strings_at, strings.size(), 0, 0, 1, 0};
  sections[4] = {kShstrtabName, kStrtab, 0, 0, names_at, sizeof kSectionNames, 0, 0, 1, 0};
  sections[5] = {kStackName, kProgbits, 0, 0, headers_at, 0, 0, 0, 1, 0};

  std::string out;
  ElfHeader header = file_header(architecture, headers_at, uint16_t(sections.size()));
  append(out, &header, sizeof header);
  append(out, code.data(), code.size());
  out.resize(symbols_at);
  append(out, symbols.data(), sizeof symbols);
  out += strings;
  append(out, kSectionNames, sizeof kSectionNames);
  out.resize(headers_at);
  append(out, sections.data(), sizeof sections);
  return out;
}

// A file name of what an artifact says: anything but plain letters is replaced.
std::string safe_name(std::string_view text) {
  std::string name(text.substr(0, 100));
  for (char &c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
      c = '_';
  return name.empty() ? "kernel" : name;
}

std::string kernel_name(const schema::Artifact &meta, const llmrt_kernel_entry &entry) {
  for (uint32_t i = 0; i < count_of(meta.kernels()); ++i) {
    const schema::Kernel &kernel = *meta.kernels()->Get(i);
    if (std::memcmp(kernel.id()->data(), entry.id, sizeof entry.id) == 0)
      return safe_name(text_of(kernel.name()));
  }
  return "kernel";
}

Status write_file(const std::string &path, std::span<const std::byte> bytes) {
  Result<os::AtomicFile> file = os::AtomicFile::create(path);
  if (!file)
    return file.status();
  if (Status status = file->write(bytes); !status.ok())
    return status;
  return file->commit();
}

Result<int> dump_tier(const schema::Artifact &meta, const CodeTable &table, const std::string &tier,
                      const std::string &folder) {
  std::span<const std::byte> code = table.segment().subspan(table.header().code_offset, table.header().code_bytes);
  uint32_t architecture = table.header().architecture;
  int count = 0;
  for (const llmrt_kernel_entry &entry : table.entries()) {
    std::string name = kernel_name(meta, entry) + ".r" + std::to_string(entry.first_rows) + "." +
                       to_hex({entry.id, sizeof entry.id});
    std::span<const std::byte> module = table.segment().subspan(entry.entry, entry.code_bytes);
    Status status;
    if (architecture == LLMRT_ARCH_SPIRV) {
      status = write_file(folder + "/vulkan." + tier + "." + name + ".spv", module);
    } else if (architecture == LLMRT_ARCH_PTX) {
      status = write_file(folder + "/cuda." + tier + "." + name + ".ptx", module.first(module.size() - 1)); // less the zero
    } else if (architecture == LLMRT_ARCH_CUBIN) {
      status = write_file(folder + "/cuda." + tier + "." + name + ".cubin", module);
    } else {
      std::string object = elf_object(architecture, code, name,
                                      entry.entry - table.header().code_offset, entry.code_bytes);
      status = write_file(folder + "/cpu." + tier + "." + name + ".o", std::as_bytes(std::span(object)));
    }
    if (!status.ok())
      return status;
    ++count;
  }
  return count;
}

} // namespace

Result<int> dump_kernels(const Artifact &artifact, const std::string &folder) {
  if (Status status = os::make_directory(folder); !status.ok())
    return status;
  const schema::Artifact &meta = artifact.meta();
  int count = 0;
  for (uint32_t i = 0; i < count_of(meta.segments()); ++i) {
    const schema::Segment &segment = *meta.segments()->Get(i);
    if (!is_known_code(segment))
      continue;
    Result<CodeTable> table = CodeTable::parse(artifact.segment(i));
    if (!table)
      return table.status();
    Result<int> written = dump_tier(meta, *table, safe_name(text_of(segment.layout())), folder);
    if (!written)
      return written;
    count += *written;
  }
  return count;
}

} // namespace llmrt
