// The kinds of docs/kernels.md as tables: what a kernel's configuration holds, what its dispatches take.
#include "dialects/exec/Exec.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::exec;

namespace {
enum class KeyType { String, Integer, Real, Flag };

struct Key {
  const char *name;
  KeyType type;
  const char *values = nullptr; // of a string: the allowed ones, separated by |; null: any
  bool required = true;
};

struct Kind {
  const char *name;
  bool hasEpilogue;
  SmallVector<Key> keys;
};
} // namespace

static constexpr const char *elements = "f32|bf16|f16";
static constexpr const char *cacheElements = "f32|bf16|f16|int8";

static const Kind *findKind(StringRef name) {
  using enum KeyType;
  static const Kind kinds[] = {
      {"embed", false, {{"scheme", String}, {"element", String, elements}, {"scale", Real}, {"positions", Flag},
        {"part", Flag, nullptr, false}}},
      {"norm", false,
       {{"kind", String, "none|rms|layer"}, {"epsilon", Real}, {"bias", Flag}, {"gather", Flag},
        {"out", String, "f32|int8|bf16"}, {"scheme", String, nullptr, false}}},
      {"linear", true,
       {{"scheme", String}, {"element", String, elements}, {"activations", String, "float|int8|bf16"}, {"gated", Flag},
        {"rows", Integer}, {"vectors", Integer}}},
      {"linear_heads", true,
       {{"scheme", String}, {"element", String, elements}, {"activations", String, "float|int8|bf16"},
        {"vectors", Integer}, {"rope", String, "none|half|interleaved"}, {"norm", String, "none|rms"},
        {"epsilon", Real, nullptr, false}, {"cache", String, cacheElements}}},
      {"rope_table", false,
       {{"scaling", String, "static|dynamic"}, {"factor", Real, nullptr, false}, {"attention_factor", Real},
        {"base", Real, nullptr, false}, {"dim", Integer, nullptr, false}, {"original", Integer, nullptr, false}}},
      {"rope", false,
       {{"kind", String, "none|half|interleaved"}, {"norm", String, "none|rms"}, {"epsilon", Real, nullptr, false}}},
      {"cache_write", false, {{"element", String, cacheElements}}},
      {"attention", false,
       {{"element", String, cacheElements}, {"scale", Real}, {"soft_cap", Real}, {"window", Integer}, {"sinks", Flag},
        {"alibi", Flag}, {"parts", Integer, nullptr, false}, {"split_rows", Integer, nullptr, false},
        {"group", Integer, nullptr, false}}},
      {"attention_combine", false, {{"window", Integer}, {"sinks", Flag}, {"split_rows", Integer}}},
      {"map", true, {{"rows", Integer}, {"vectors", Integer}}},
      {"top_k", false, {{"count", Integer}, {"pairs", Flag}}},
  };
  const Kind *found = llvm::find_if(kinds, [&](const Kind &kind) { return name == kind.name; });
  return found == std::end(kinds) ? nullptr : found;
}

// ---- configuration -------------------------------------------------------------------------------------------------
static bool hasType(Attribute value, KeyType type) {
  switch (type) {
  case KeyType::String:
    return isa<StringAttr>(value);
  case KeyType::Integer:
    return isa<IntegerAttr>(value) && cast<IntegerAttr>(value).getType().isInteger(64);
  case KeyType::Real:
    return isa<FloatAttr>(value) && cast<FloatAttr>(value).getType().isF64();
  case KeyType::Flag:
    return isa<BoolAttr>(value);
  }
  return false;
}

static LogicalResult verifyKey(KernelOp op, const Key &key) {
  static constexpr const char *typeNames[] = {"a string", "an i64", "an f64", "true or false"};
  Attribute value = op.getConfig().get(key.name);
  if (!value)
    return key.required ? op.emitOpError("a kernel '") << op.getKind() << "' needs config '" << key.name << "'"
                        : success();
  if (!hasType(value, key.type))
    return op.emitOpError("config '") << key.name << "' must be " << typeNames[int(key.type)] << ", got " << value;
  if (!key.values)
    return success();
  SmallVector<StringRef> allowed;
  StringRef(key.values).split(allowed, '|');
  if (!llvm::is_contained(allowed, cast<StringAttr>(value).getValue()))
    return op.emitOpError("config '") << key.name << "' must be one of " << key.values << ", got " << value;
  return success();
}

static LogicalResult verifyScheme(KernelOp op) {
  StringRef kind = op.getKind(), scheme = op.getString("scheme");
  bool needsGroups = kind == "norm" ? op.getString("out") == "int8" : op.getString("activations") == "int8";
  if (!scheme.empty() && !llm::isKnownScheme(scheme))
    return op.emitOpError("unknown quantization scheme '") << scheme << "'";
  if (needsGroups && !llm::parseScheme(scheme))
    return op.emitOpError("int8 needs the quantization scheme of the weight");
  if (kind == "norm" && !needsGroups && !scheme.empty())
    return op.emitOpError("config 'scheme' belongs to out = \"int8\"");
  if (op.getString("activations") == "bf16" && !llm::parseScheme(scheme) && op.getString("element") != "bf16")
    return op.emitOpError("bf16 activations need a quantized weight or one of bf16");
  return success();
}

static LogicalResult verifySplit(KernelOp op) {
  int64_t parts = op.getInteger("parts"), rows = op.getInteger("split_rows"), group = op.getInteger("group");
  if (op.getKind() == "attention_combine" && rows < 1)
    return op.emitOpError("split_rows must be positive");
  bool all = parts > 0 && rows > 0 && group > 0;
  if (op.getKind() == "attention" && !all && (parts || rows || group))
    return op.emitOpError("parts, split_rows and group are all positive, or none is there");
  return success();
}

// What hangs on more than one key.
static LogicalResult verifyTogether(KernelOp op) {
  StringRef kind = op.getKind();
  if (failed(verifyScheme(op)) || failed(verifySplit(op)))
    return failure();
  if (int64_t count = op.getInteger("count"); kind == "top_k" && (count < 1 || count > kTopKMost))
    return op.emitOpError("count must be between 1 and ") << kTopKMost;
  if (kind == "norm" && op.getFlag("bias") && op.getString("kind") != "layer")
    return op.emitOpError("only a layer norm has a bias");
  if ((kind == "rope" || kind == "linear_heads") && op.getString("norm") == "rms" && !op.getConfig().get("epsilon"))
    return op.emitOpError("a norm needs config 'epsilon'");
  if (kind == "rope_table" && op.getString("scaling") == "dynamic")
    for (StringRef key : {"factor", "base", "dim", "original"})
      if (!op.getConfig().get(key))
        return op.emitOpError("dynamic scaling needs config '") << key << "'";
  if (op.getInteger("rows") < 0 || op.getInteger("vectors") < 0 || op.getInteger("window") < 0)
    return op.emitOpError("rows, vectors and window must not be negative");
  return success();
}

static LogicalResult verifyKernelEpilogue(KernelOp op, const Kind &kind) {
  if (!kind.hasEpilogue)
    return op.hasEpilogue() ? op.emitOpError("a kernel '") << op.getKind() << "' has no epilogue" : success();
  int64_t rows = op.getInteger("rows"), vectors = op.getInteger("vectors");
  bool isLinear = op.getKind() == "linear" || op.getKind() == "linear_heads";
  int64_t fanout = op.getFlag("gated") ? 2 : 1;
  if (!op.hasEpilogue() && (!isLinear || rows || vectors || fanout == 2))
    return op.emitOpError("a map, and a linear with a gate, rows or vectors, need an epilogue");
  return llm::verifyEpilogue(op, op.getEpilogue(), (isLinear ? fanout : 0) + rows + vectors * fanout);
}

LogicalResult KernelOp::verify() {
  const Kind *kind = findKind(getKind());
  if (!kind)
    return emitOpError("unknown kind of kernel '") << getKind() << "'; docs/kernels.md lists them";
  for (const Key &key : kind->keys)
    if (failed(verifyKey(*this, key)))
      return failure();
  for (NamedAttribute entry : getConfig())
    if (llvm::none_of(kind->keys, [&](const Key &key) { return entry.getName() == key.name; }))
      return emitOpError("a kernel '") << getKind() << "' has no config '" << entry.getName().getValue() << "'";
  if (failed(verifyTogether(*this)))
    return failure();
  return verifyKernelEpilogue(*this, *kind);
}

// ---- dispatches ----------------------------------------------------------------------------------------------------
using Names = SmallVector<std::string>;

static void append(Names &names, std::initializer_list<const char *> more) { names.append(more.begin(), more.end()); }

static void appendNumbered(Names &names, StringRef stem, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    names.push_back((stem + std::to_string(i)).str());
}

// What the kinds that end in a linear begin with.
static void shapeInputs(KernelOp op, KernelShape &shape) {
  append(shape.operands, {"x"});
  if (op.getString("activations") == "int8")
    append(shape.operands, {"corr", "scale"});
  append(shape.operands, {"weight"});
  appendNumbered(shape.operands, "rows", op.getInteger("rows"));
  appendNumbered(shape.operands, "vectors", op.getInteger("vectors"));
  append(shape.scalars, {"n", "K", "N", "Nb", "C", "ldx", "ldo"});
  appendNumbered(shape.scalars, "ld", op.getInteger("rows"));
  if (op.getString("activations") == "int8")
    append(shape.scalars, {"A"});
}

static void shapeLinear(KernelOp op, KernelShape &shape) {
  shapeInputs(op, shape);
  append(shape.operands, {"out"});
}

static void shapeLinearHeads(KernelOp op, KernelShape &shape) {
  shapeInputs(op, shape);
  if (op.getString("rope") != "none")
    append(shape.operands, {"table"});
  if (op.getString("norm") == "rms")
    append(shape.operands, {"query_norm", "key_norm"});
  append(shape.operands, {"positions", "sequence", "page_table", "pool", "out"});
  append(shape.scalars, {"heads", "kv_heads", "key_blocks", "value_blocks", "half", "half_pad", "S", "B", "P"});
}

static void shapeMap(KernelOp op, KernelShape &shape) {
  appendNumbered(shape.operands, "rows", op.getInteger("rows"));
  appendNumbered(shape.operands, "vectors", op.getInteger("vectors"));
  append(shape.operands, {"out"});
  append(shape.scalars, {"n", "N", "Nb", "ldo"});
  appendNumbered(shape.scalars, "ld", op.getInteger("rows"));
}

static void shapeEmbed(KernelOp op, KernelShape &shape) {
  append(shape.operands, {"ids", "table"});
  append(shape.scalars, {"n", "N", "V", "Vb", "C", "ldo"});
  if (op.getFlag("positions")) {
    append(shape.operands, {"positions", "position_table"});
    append(shape.scalars, {"P", "Pb"});
  }
  if (op.getFlag("part"))
    append(shape.scalars, {"F", "R"});
  append(shape.operands, {"out"});
}

static void shapeNorm(KernelOp op, KernelShape &shape) {
  append(shape.operands, {"x"});
  if (op.getFlag("gather"))
    append(shape.operands, {"rows"});
  if (op.getString("kind") != "none")
    append(shape.operands, {"weight"});
  if (op.getFlag("bias"))
    append(shape.operands, {"bias"});
  append(shape.operands, {"out"});
  if (op.getString("out") == "int8")
    append(shape.operands, {"corr", "scale"});
  append(shape.scalars, {"n", "K", "Kv", "ldx", "ldo", "T"});
  if (op.getString("out") != "f32")
    append(shape.scalars, {"A"});
}

static void shapeRopeTable(KernelOp op, KernelShape &shape) {
  append(shape.operands, {"positions"});
  if (op.getString("scaling") == "dynamic")
    append(shape.operands, {"sequence", "rope_length"});
  else
    append(shape.operands, {"frequencies"});
  append(shape.operands, {"out"});
  append(shape.scalars, {"n", "half", "half_pad", "S"});
}

static void shapeRope(KernelOp op, KernelShape &shape) {
  append(shape.operands, {"x"});
  if (op.getString("kind") != "none")
    append(shape.operands, {"table"});
  if (op.getString("norm") == "rms")
    append(shape.operands, {"weight"});
  append(shape.operands, {"out"});
  append(shape.scalars, {"n", "heads", "head_dim", "half", "half_pad", "ldx", "ldo"});
}

static void shapeCacheWrite(KernelOp, KernelShape &shape) {
  append(shape.operands, {"key", "value", "positions", "sequence", "page_table", "pool"});
  append(shape.scalars, {"n", "ldk", "ldv", "kv_heads", "key_dim", "value_dim", "value_pad", "S", "B", "P"});
}

static void shapeAttention(KernelOp op, KernelShape &shape) {
  append(shape.operands, {"query", "positions", "sequence", "page_table", "pool"});
  if (op.getFlag("sinks"))
    append(shape.operands, {"sinks"});
  if (op.getFlag("alibi"))
    append(shape.operands, {"alibi"});
  append(shape.operands, {"out"});
  append(shape.scalars, {"n", "heads", "kv_heads", "G", "key_dim", "value_dim", "value_pad"});
  append(shape.scalars, {"ldq", "ldo", "S", "B", "P"});
  if (op.getInteger("parts") == 0)
    return;
  append(shape.operands, {"segments", "last"});
  append(shape.scalars, {"Hb"});
}

static void shapeAttentionCombine(KernelOp op, KernelShape &shape) {
  append(shape.operands, {"positions", "segments", "last"});
  if (op.getFlag("sinks"))
    append(shape.operands, {"sinks"});
  append(shape.operands, {"out"});
  append(shape.scalars, {"n", "heads", "Hb", "value_dim", "value_pad", "ldo", "B"});
}

static void shapeTopK(KernelOp, KernelShape &shape) {
  append(shape.operands, {"x", "out"});
  append(shape.scalars, {"n", "N", "Nb", "ldx"});
}

bool llmc::exec::isForGpusAlone(KernelOp kernel) { return kernel.getKind() == "top_k"; }

SmallVector<KernelOp> llmc::exec::getKernelsFor(ModuleOp module, StringRef target) {
  llvm::StringSet<> dispatched;
  for (auto program : module.getOps<ProgramOp>())
    if (program.isFor(target))
      for (auto dispatch : program.getBody().getOps<DispatchOp>())
        dispatched.insert(dispatch.getKernel());
  SmallVector<KernelOp> kernels;
  for (auto kernel : module.getOps<KernelOp>())
    if (dispatched.contains(kernel.getSymName()) && (target != "cpu" || !isForGpusAlone(kernel)))
      kernels.push_back(kernel);
  return kernels;
}

KernelShape llmc::exec::getKernelShape(KernelOp op) {
  using Fill = void (*)(KernelOp, KernelShape &);
  static constexpr std::pair<StringLiteral, Fill> kinds[] = {
      {"embed", shapeEmbed}, {"norm", shapeNorm},
      {"linear", shapeLinear}, {"linear_heads", shapeLinearHeads},
      {"rope_table", shapeRopeTable}, {"rope", shapeRope},
      {"cache_write", shapeCacheWrite},
      {"attention", shapeAttention}, {"attention_combine", shapeAttentionCombine}, {"map", shapeMap}, {"top_k", shapeTopK}};
  KernelShape shape;
  for (auto [name, fill] : kinds)
    if (op.getKind() == name)
      fill(op, shape);
  return shape;
}
