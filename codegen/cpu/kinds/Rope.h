// What a head goes through before it is used: a norm of its own and the rotation of its first elements.
#pragma once

#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

struct RopeConfig {
  llvm::StringRef kind; // none, half, interleaved
  bool norm;
  double epsilon;
  bool turns() const { return kind != "none"; }

  // `key`: what the kernel's config calls the rope's kind.
  static RopeConfig read(exec::KernelOp kernel, llvm::StringRef key);
};

// The cosines and the sines of a row of the step.
struct Angles {
  Value cosines, sines;
  static Angles ofRow(KernelBuilder &k, Value table, Value row, Value halfPad);
};

// Of heads that lie in the scratch: f32, whole vectors, zero past the head's end.
struct HeadRope {
  KernelBuilder &k;
  const RopeConfig &config;
  Value headDim, half;

  Value vectors() { return k.div(k.add(headDim, kLanes - 1), kLanes); }
  Value valid(Value vector) { return k.sub(headDim, k.mul(vector, kLanes)); }
  // In place.
  void normalize(Value head, Value weight);
  // All of the head, its first elements turned, to another place.
  void turn(Value head, const Angles &angles, Value to);

private:
  Value vectorOf(Value head, Value index) { return k.at(head, k.mul(index, 4 * kLanes)); }
  Value elementOf(Value head, Value index) { return k.loadF32(k.at(head, k.mul(index, 4))); }
  void turnPair(Value head, Value pair, const Angles &angles, Value to);
  void turnVectors(Value head, Value pair, const Angles &angles, Value to);
};

} // namespace llmc::cpu
