#include "compiler/emit/KernelLibrary.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/Path.h"

namespace llmc {

std::string librarySymbol(llvm::StringRef path) {
  std::string symbol = "llmrt_kernels_" + llvm::sys::path::stem(path).str();
  for (char &c : symbol)
    if (!llvm::isAlnum(c)) c = '_';
  return symbol;
}

static std::string headerText(llvm::StringRef path) {
  std::string symbol = librarySymbol(path), guard = llvm::StringRef(symbol).upper() + "_H";
  std::string text = "/* Made by llmc compile --emit-kernels: link " + llvm::sys::path::filename(path).str() +
                     " and open the artifact with options.kernels = &" + symbol + ". */\n";
  text += "#ifndef " + guard + "\n#define " + guard + "\n\n#include \"llmrt.h\"\n\n";
  text += "#ifdef __cplusplus\nextern \"C\" {\n#endif\n";
  text += "extern const llmrt_kernel_library " + symbol + ";\n";
  text += "#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
  return text;
}

// No times, no owners: the objects alone decide about the bytes.
static llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> archiveOf(llvm::ArrayRef<codegen::ObjectFile> objects) {
  std::vector<llvm::NewArchiveMember> members;
  bool mach = false;
  for (const codegen::ObjectFile &object : objects) {
    llvm::MemoryBufferRef buffer(llvm::StringRef(object.bytes.data(), object.bytes.size()), object.name);
    mach |= llvm::identify_magic(buffer.getBuffer()) == llvm::file_magic::macho_object;
    members.emplace_back(buffer);
  }
  auto kind = mach ? llvm::object::Archive::K_DARWIN : llvm::object::Archive::K_GNU;
  return llvm::writeArchiveToBuffer(members, llvm::SymtabWritingMode::NormalSymtab, kind, /*Deterministic=*/true,
                                    /*Thin=*/false);
}

llvm::Expected<std::optional<OutputFolder>> beginKernelLibrary(llvm::ArrayRef<codegen::ObjectFile> objects,
                                                               llvm::StringRef path) {
  if (path.empty()) return std::optional<OutputFolder>();
  auto archive = archiveOf(objects);
  if (!archive) return archive.takeError();
  llvm::StringRef parent = llvm::sys::path::parent_path(path);
  auto folder = OutputFolder::open(parent.empty() ? "." : parent);
  if (!folder) return folder.takeError();
  llvm::SmallString<128> header = llvm::sys::path::filename(path);
  llvm::sys::path::replace_extension(header, "h");
  if (llvm::Error error = folder->write(llvm::sys::path::filename(path), (*archive)->getBuffer())) return std::move(error);
  if (llvm::Error error = folder->write(header, headerText(path))) return std::move(error);
  return std::optional<OutputFolder>(std::move(*folder));
}

} // namespace llmc
