#include "codegen/vulkan/MatrixToSpirv.h"

#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "mlir/Dialect/SPIRV/Transforms/SPIRVConversion.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/STLExtras.h"

namespace llmc::vulkan {

using namespace mlir;
using spirv::CooperativeMatrixLayoutKHR;
using spirv::CooperativeMatrixUseKHR;

namespace {

// Words of a matrix: A has 16 rows of 16 numbers of 16 bits, B 8 columns of as many, C and D 16 rows of 16 f32.
constexpr int64_t kA = 128, kB = 64, kC = 256;
constexpr int64_t kRow = 8, kSumsRow = 16; // of A, a column of B; of C and D

using Chain = llvm::SmallVector<chip::MmaOp>;

bool beginsWithZero(const Chain &chain) {
  chip::MmaOp first = chain.front();
  return llvm::all_of(first.getC(), [](Value number) { return matchPattern(number, m_AnyZeroFloat()); });
}

// Of a warp: {B of each product, A of each product, C where it is not zero}. D lies where B and A were.
int64_t wordsOf(const Chain &chain) {
  int64_t factors = int64_t(chain.size()) * (kA + kB);
  return beginsWithZero(chain) ? std::max(factors, kC) : factors + kC;
}

llvm::SmallVector<Chain> chainsIn(Operation *root) {
  llvm::SmallVector<Chain> chains;
  root->walk([&](chip::MmaOp op) {
    if (isMatrixProduct(op) && !chip::followerOf(op)) chains.push_back(chip::chainOf(op));
  });
  return chains;
}

int64_t wordsOfWarp(llvm::ArrayRef<Chain> chains) {
  int64_t words = 0;
  for (const Chain &chain : chains) words = std::max(words, wordsOf(chain));
  return words;
}

class Products {
public:
  Products(spirv::FuncOp function, int64_t wordsOfWarp, int64_t warps) : function(function), wordsOfWarp(wordsOfWarp) {
    auto module = function->getParentOfType<spirv::ModuleOp>();
    auto b = ImplicitLocOpBuilder::atBlockBegin(module.getLoc(), module.getBody());
    auto array = spirv::ArrayType::get(b.getI32Type(), unsigned(wordsOfWarp * warps));
    memory = spirv::GlobalVariableOp::create(b, spirv::PointerType::get(array, spirv::StorageClass::Workgroup), "matrices");
  }

  void lower(const Chain &chain) {
    chip::MmaOp first = chain.front(), last = chain.back();
    ImplicitLocOpBuilder b(last.getLoc(), last);
    begin(b);
    giveFactors(chain);
    bool zero = beginsWithZero(chain);
    if (!zero) giveSums(first.getC(), int64_t(chain.size()) * (kA + kB));
    barrier();
    Value sums = multiply(int64_t(chain.size()), zero);
    barrier(); // every subgroup has its factors
    Value stride = i32(kSumsRow);
    spirv::KHRCooperativeMatrixStoreOp::create(b, place(own, 0), sums, CooperativeMatrixLayoutKHR::RowMajor, stride, access(),
                                               /*alignment=*/IntegerAttr());
    barrier();
    for (int64_t i = 0; i < 4; ++i) last->getResult(unsigned(i)).replaceAllUsesWith(takeSum(i));
    barrier(); // before the memory is written again
    for (chip::MmaOp op : llvm::reverse(chain)) op.erase();
  }

private:
  // Values of the block that the product is in.
  void begin(ImplicitLocOpBuilder &builder) {
    b = &builder;
    Value ids = spirv::getBuiltinVariableValue(function, spirv::BuiltIn::LocalInvocationId, b->getI32Type(), *b);
    Value subgroup = spirv::getBuiltinVariableValue(function, spirv::BuiltIn::SubgroupId, b->getI32Type(), *b);
    address = spirv::AddressOfOp::create(*b, memory);
    Value thread = spirv::CompositeExtractOp::create(*b, ids, llvm::ArrayRef<int32_t>{0});
    Value inWarp = spirv::BitwiseAndOp::create(*b, thread, i32(chip::kWarp - 1));
    group = spirv::ShiftRightLogicalOp::create(*b, inWarp, i32(2));
    member = spirv::BitwiseAndOp::create(*b, thread, i32(3));
    warp = mul(spirv::ShiftRightLogicalOp::create(*b, thread, i32(5)), wordsOfWarp);
    own = mul(subgroup, wordsOfWarp);
  }

  Value i32(int64_t value) { return spirv::ConstantOp::create(*b, b->getI32Type(), b->getI32IntegerAttr(int32_t(value))); }
  Value add(Value x, Value y) { return spirv::IAddOp::create(*b, x, y); }
  Value add(Value x, int64_t y) { return y ? add(x, i32(y)) : x; }
  Value mul(Value x, int64_t y) { return spirv::IMulOp::create(*b, x, i32(y)); }
  Value place(Value base, int64_t offset) {
    return spirv::AccessChainOp::create(*b, address, ValueRange{add(base, offset)});
  }
  spirv::MemoryAccessAttr access() {
    return spirv::MemoryAccessAttr::get(b->getContext(), spirv::MemoryAccess::NonPrivatePointer);
  }
  void barrier() {
    auto semantics = spirv::MemorySemantics::AcquireRelease | spirv::MemorySemantics::WorkgroupMemory;
    spirv::ControlBarrierOp::create(*b, spirv::Scope::Workgroup, spirv::Scope::Workgroup, semantics);
  }
  spirv::CooperativeMatrixType type(Type element, CooperativeMatrixUseKHR use) {
    return spirv::CooperativeMatrixType::get(element, 16, 16, spirv::Scope::Subgroup, use);
  }

  // Fragments as ChipOps.td deals them out. Word i of A is of row group + 8 (i mod 2), pair member + 4 (i / 2).
  void giveFactors(const Chain &chain) {
    Value column = add(warp, add(mul(group, kRow), member));
    int64_t ofB = 0, ofA = int64_t(chain.size()) * kB;
    for (chip::MmaOp op : chain) {
      for (auto [i, word] : llvm::enumerate(op.getB())) give(word, place(column, ofB + int64_t(i) * 4));
      for (auto [i, word] : llvm::enumerate(op.getA()))
        give(word, place(column, ofA + int64_t(i % 2) * 8 * kRow + int64_t(i / 2) * 4));
      ofB += kB;
      ofA += kA;
    }
  }
  void give(Value word, Value place) { spirv::StoreOp::create(*b, place, word); }

  // Number i of C and D is of row group + 8 (i / 2), column 2 member + i mod 2.
  Value sumPlace(int64_t start, int64_t i) {
    Value first = add(warp, add(mul(group, kSumsRow), mul(member, 2)));
    return place(first, start + i / 2 * 8 * kSumsRow + i % 2);
  }
  void giveSums(ValueRange sums, int64_t start) {
    for (auto [i, sum] : llvm::enumerate(sums))
      give(spirv::BitcastOp::create(*b, b->getI32Type(), sum), sumPlace(start, int64_t(i)));
  }
  Value takeSum(int64_t i) {
    return spirv::BitcastOp::create(*b, b->getF32Type(), spirv::LoadOp::create(*b, sumPlace(0, i)));
  }

  Value load(spirv::CooperativeMatrixType type, int64_t offset, CooperativeMatrixLayoutKHR layout, int64_t stride) {
    Value words = i32(stride);
    return spirv::KHRCooperativeMatrixLoadOp::create(*b, type, place(own, offset), layout, words, access(),
                                                     /*alignment=*/IntegerAttr());
  }

  Value multiply(int64_t products, bool zero) {
    auto sumsType = type(b->getF32Type(), CooperativeMatrixUseKHR::MatrixAcc);
    Value sums;
    if (zero) {
      Value number = spirv::ConstantOp::create(*b, b->getF32Type(), b->getF32FloatAttr(0));
      sums = spirv::CompositeConstructOp::create(*b, sumsType, ValueRange{number});
    } else {
      sums = load(sumsType, products * (kA + kB), CooperativeMatrixLayoutKHR::RowMajor, kSumsRow);
    }
    for (int64_t i = 0; i < products; ++i) {
      Value factor = load(type(b->getBF16Type(), CooperativeMatrixUseKHR::MatrixA), products * kB + i * kA,
                          CooperativeMatrixLayoutKHR::RowMajor, kRow);
      Value other = load(type(b->getBF16Type(), CooperativeMatrixUseKHR::MatrixB), i * kB,
                         CooperativeMatrixLayoutKHR::ColumnMajor, kRow);
      sums = spirv::KHRCooperativeMatrixMulAddOp::create(*b, factor, other, sums);
    }
    return sums;
  }

  spirv::FuncOp function;
  int64_t wordsOfWarp;
  spirv::GlobalVariableOp memory; // words, of each warp as wordsOf() says
  ImplicitLocOpBuilder *b = nullptr;
  Value address, group, member;
  Value warp, own; // where the thread's warp and where the subgroup's has its words
};

// SPV_KHR_vulkan_memory_model: a pointer is private to its thread unless an access says otherwise. Kernels whose modules have
// products have no atomics.
void useVulkanMemoryModel(spirv::ModuleOp module) {
  auto isShared = [](Value pointer) {
    auto space = cast<spirv::PointerType>(pointer.getType()).getStorageClass();
    return space == spirv::StorageClass::Workgroup || space == spirv::StorageClass::StorageBuffer;
  };
  auto share = [](auto access) {
    access.setMemoryAccess(access.getMemoryAccess().value_or(spirv::MemoryAccess::None) | spirv::MemoryAccess::NonPrivatePointer);
  };
  module.setMemoryModel(spirv::MemoryModel::Vulkan);
  module.walk([&](Operation *op) {
    if (auto load = dyn_cast<spirv::LoadOp>(op); load && isShared(load.getPtr())) share(load);
    if (auto store = dyn_cast<spirv::StoreOp>(op); store && isShared(store.getPtr())) share(store);
    if (auto barrier = dyn_cast<spirv::ControlBarrierOp>(op))
      barrier.setMemorySemantics(barrier.getMemorySemantics() | spirv::MemorySemantics::MakeAvailable |
                                 spirv::MemorySemantics::MakeVisible);
  });
}

} // namespace

bool isMatrixProduct(Operation *op) {
  auto mma = dyn_cast<chip::MmaOp>(op);
  return mma && mma.getElement() == chip::Half::Bf16;
}

int64_t matrixWords(Operation *root, int64_t threads) { return wordsOfWarp(chainsIn(root)) * (threads / chip::kWarp); }

void lowerMatrices(spirv::ModuleOp module, int64_t threads) {
  for (auto function : module.getOps<spirv::FuncOp>()) {
    llvm::SmallVector<Chain> chains = chainsIn(function);
    if (chains.empty()) continue;
    Products products(function, wordsOfWarp(chains), threads / chip::kWarp);
    for (const Chain &chain : chains) products.lower(chain);
    useVulkanMemoryModel(module);
  }
}

} // namespace llmc::vulkan
