// Chip operations as instructions, where the chip has them.
// RUN: llmc-opt %s --lower-gpu-to-nvvm | FileCheck %s
// RUN: llmc-opt %s --lower-gpu-to-nvvm=chip=sm_75 | FileCheck %s --check-prefix=OLD
// RUN: llmc-opt %s --lower-gpu-to-nvvm=chip=sm_90a | FileCheck %s --check-prefix=HOPPER
// RUN: llmc-opt %s --lower-gpu-to-nvvm=chip=sm_100a | FileCheck %s

gpu.module @m {
  // CHECK-LABEL: llvm.func @mma
  // OLD-LABEL: llvm.func @mma
  gpu.func @mma(%to: memref<?xf32>, %i: index, %a0: i32, %a1: i32, %a2: i32, %a3: i32, %b0: i32, %b1: i32, %c: f32) kernel
      attributes {known_block_size = array<i32: 64, 1, 1>} {
    // CHECK: nvvm.mma.sync A[%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}] B[%{{.*}}, %{{.*}}] C[%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}]
    // CHECK-SAME: bf16
    // CHECK-SAME: (i32, i32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
    // CHECK: nvvm.mma.sync
    // CHECK-SAME: (vector<2xf16>, vector<2xf16>, f32) -> !llvm.struct<(f32, f32, f32, f32)>
    // CHECK-NOT: nvvm.barrier
    // OLD-NOT: nvvm.mma.sync
    // OLD: nvvm.barrier
    // OLD: llvm.intr.fma
    %d:4 = chip.mma bf16 a(%a0, %a1, %a2, %a3) b(%b0, %b1) c(%c, %c, %c, %c)
    %e:4 = chip.mma f16 a(%a0, %a1, %a2, %a3) b(%b0, %b1) c(%d#0, %d#1, %d#2, %d#3)
    memref.store %e#3, %to[%i] : memref<?xf32>
    gpu.return
  }

  // Of chip 9.0 alone. The second product's B lies 16 x 16 bytes behind the first's.
  // CHECK-LABEL: llvm.func @warpgroup
  // HOPPER-LABEL: llvm.func @warpgroup
  gpu.func @warpgroup(%to: memref<?xf32>, %i: index, %a: i32, %b: i32) workgroup(%memory: memref<1024xi32, #gpu.address_space<workgroup>>)
      kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
    // HOPPER: nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
    // HOPPER-DAG: %[[DISTANCES:.*]] = llvm.mlir.constant(137439477760 : i64)
    // HOPPER-DAG: %[[SIXTEEN:.*]] = llvm.mlir.constant(16 : i64)
    // HOPPER: %[[FIRST:.*]] = llvm.or %{{.*}}, %[[DISTANCES]]
    // HOPPER: %[[SECOND:.*]] = llvm.add %[[FIRST]], %[[SIXTEEN]]
    // HOPPER: llvm.inline_asm has_side_effects
    // HOPPER-SAME: wgmma.fence.sync.aligned
    // HOPPER-SAME: wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16
    // HOPPER-SAME: {$32, $33, $34, $35}, $40, %first, 1, 1, 0
    // HOPPER-SAME: {$36, $37, $38, $39}, $41, %then, 1, 1, 0
    // HOPPER-SAME: wgmma.commit_group.sync.aligned
    // HOPPER-SAME: wgmma.wait_group.sync.aligned 0
    // HOPPER-SAME: %[[FIRST]], %[[SECOND]]
    // CHECK-NOT: inline_asm
    // CHECK: llvm.intr.fma
    chip.publish
    %d:32 = chip.warpgroup_mma bf16 a(%a, %a, %a, %a, %b, %b, %b, %b) %memory[%i] : memref<1024xi32, #gpu.address_space<workgroup>>
    memref.store %d#31, %to[%i] : memref<?xf32>
    gpu.return
  }

  // The workgroup's memory may be copied to by 16 bytes, and be a matrix.
  // CHECK: llvm.mlir.global internal @__wg_copy_0() {{.*}}alignment = 16 : i64{{.*}} : !llvm.array<8 x i32>
  // CHECK-LABEL: llvm.func @copy
  // OLD-LABEL: llvm.func @copy
  gpu.func @copy(%from: memref<?xi32>, %i: index) workgroup(%to: memref<8xi32, #gpu.address_space<workgroup>>) kernel {
    // CHECK: nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
    // CHECK: nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 4, cache = ca
    // CHECK: nvvm.cp.async.commit.group
    // CHECK: nvvm.cp.async.wait.group 1
    // OLD-NOT: nvvm.cp.async
    chip.copy 4 words %from[%i] to %to[%i] : memref<?xi32>, memref<8xi32, #gpu.address_space<workgroup>>
    chip.copy 1 words %from[%i] to %to[%i] : memref<?xi32>, memref<8xi32, #gpu.address_space<workgroup>>
    chip.commit
    chip.wait 1
    gpu.return
  }

  // A product with one and a sum.
  // CHECK-LABEL: llvm.func @pairs
  // OLD-LABEL: llvm.func @pairs
  gpu.func @pairs(%to: memref<?xi32>, %i: index, %a: i32, %b: i32) kernel {
    // CHECK: %[[ONES:.*]] = llvm.mlir.constant(1065369472 : i32)
    // CHECK: llvm.inline_asm "fma.rn.bf16x2 $0, $1, $2, $3;", "=r,r,r,r" %{{.*}}, %[[ONES]], %{{.*}} : (i32, i32, i32) -> i32
    // OLD-NOT: inline_asm
    // OLD: llvm.fadd
    // OLD: llvm.fadd
    %s = chip.add_pairs %a, %b
    memref.store %s, %to[%i] : memref<?xi32>
    gpu.return
  }

  // CHECK-LABEL: llvm.func @threads
  // OLD-LABEL: llvm.func @threads
  gpu.func @threads(%to: memref<?xf32>, %i: index, %a: i32, %b: i32, %x: f32) kernel
      attributes {known_block_size = array<i32: 16, 1, 1>} {
    // CHECK: %[[PRESENT:.*]] = llvm.mlir.constant(65535 : i32)
    // CHECK: %[[TWO:.*]] = llvm.mlir.constant(2 : i32)
    // CHECK: nvvm.shfl.sync bfly %[[PRESENT]], %{{.*}}, %[[TWO]]
    // CHECK: llvm.fadd
    // CHECK: nvvm.shfl.sync bfly %[[PRESENT]]
    // CHECK: llvm.fadd
    // CHECK-NOT: nvvm.shfl.sync
    // CHECK: nvvm.dot.accumulate.4way %{{.*}} <unsigned>, %{{.*}} <signed>
    // OLD: nvvm.shfl.sync bfly
    // OLD: nvvm.dot.accumulate.4way
    %s = chip.reduce sum %x across 4
    %d = chip.dot4 %a, %b, %a unsigned
    %f = arith.sitofp %d : i32 to f32
    %t = arith.addf %s, %f : f32
    memref.store %t, %to[%i] : memref<?xf32>
    gpu.return
  }
}
