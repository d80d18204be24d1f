// Chip operations in what every GPU has.
// RUN: llmc-opt %s --lower-chip-plain --canonicalize --cse | FileCheck %s

gpu.module @m {
  // Six words of each of 64 threads go through the workgroup's memory: A, B, then a loop over the pairs of columns.
  // CHECK-LABEL: gpu.func @mma
  // CHECK-SAME: workgroup(%[[MEMORY:.*]] : memref<384xi32, #gpu.address_space<workgroup>>)
  gpu.func @mma(%to: memref<?xf32>, %i: index, %a0: i32, %a1: i32, %a2: i32, %a3: i32, %b0: i32, %b1: i32, %c: f32) kernel
      attributes {known_block_size = array<i32: 64, 1, 1>} {
    // CHECK-COUNT-6: memref.store %{{.*}}, %[[MEMORY]]
    // CHECK: gpu.barrier
    // CHECK: %[[SUMS:.*]]:4 = scf.for %{{.*}} = %c0 to %c8
    // CHECK-COUNT-4: memref.load %[[MEMORY]]
    // CHECK-COUNT-8: math.fma
    // CHECK: gpu.barrier
    // CHECK: memref.store %[[SUMS]]#3
    // CHECK-NOT: chip.
    %d:4 = chip.mma bf16 a(%a0, %a1, %a2, %a3) b(%b0, %b1) c(%c, %c, %c, %c)
    memref.store %d#3, %to[%i] : memref<?xf32>
    gpu.return
  }

  // A product that only the next one reads is done with it.
  // CHECK-LABEL: gpu.func @chain
  // CHECK-SAME: workgroup(%[[MEMORY:.*]] : memref<384xi32, #gpu.address_space<workgroup>>)
  gpu.func @chain(%to: memref<?xf32>, %i: index, %a: i32, %b: i32, %c: f32) kernel
      attributes {known_block_size = array<i32: 32, 1, 1>} {
    // CHECK-COUNT-12: memref.store %{{.*}}, %[[MEMORY]]
    // CHECK: gpu.barrier
    // CHECK: scf.for %{{.*}} = %c0 to %c16
    // CHECK: gpu.barrier
    // CHECK-NOT: gpu.barrier
    // CHECK: gpu.return
    %d:4 = chip.mma bf16 a(%a, %a, %a, %a) b(%b, %b) c(%c, %c, %c, %c)
    %e:4 = chip.mma bf16 a(%b, %b, %b, %b) b(%a, %a) c(%d#0, %d#1, %d#2, %d#3)
    memref.store %e#0, %to[%i] : memref<?xf32>
    gpu.return
  }

  // Eight words of A of each thread; B is where it was.
  // CHECK-LABEL: gpu.func @warpgroup
  // CHECK-SAME: workgroup(%[[B:.*]] : memref<1024xi32, #gpu.address_space<workgroup>>, %[[MEMORY:.*]] : memref<1024xi32, #gpu.address_space<workgroup>>)
  gpu.func @warpgroup(%to: memref<?xf32>, %i: index, %a: i32) workgroup(%b: memref<1024xi32, #gpu.address_space<workgroup>>)
      kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
    // CHECK-COUNT-8: memref.store %{{.*}}, %[[MEMORY]]
    // CHECK: gpu.barrier
    // CHECK: %[[SUMS:.*]]:32 = scf.for %{{.*}} = %c0 to %c16
    // CHECK-COUNT-2: memref.load %[[MEMORY]]
    // CHECK-COUNT-16: memref.load %[[B]]
    // CHECK: gpu.barrier
    // CHECK: memref.store %[[SUMS]]#31
    chip.publish
    %d:32 = chip.warpgroup_mma bf16 a(%a, %a, %a, %a, %a, %a, %a, %a) %b[%i] : memref<1024xi32, #gpu.address_space<workgroup>>
    memref.store %d#31, %to[%i] : memref<?xf32>
    gpu.return
  }

  // CHECK-LABEL: gpu.func @copy
  gpu.func @copy(%from: memref<?xi32>, %i: index) workgroup(%to: memref<8xi32, #gpu.address_space<workgroup>>) kernel {
    // CHECK: %[[FIRST:.*]] = memref.load
    // CHECK-NEXT: memref.store %[[FIRST]]
    // CHECK: %[[SECOND:.*]] = memref.load
    // CHECK-NEXT: memref.store %[[SECOND]]
    // CHECK-NEXT: gpu.return
    chip.copy 2 words %from[%i] to %to[%i] : memref<?xi32>, memref<8xi32, #gpu.address_space<workgroup>>
    chip.commit
    chip.wait 0
    gpu.return
  }

  // CHECK-LABEL: gpu.func @dot4
  gpu.func @dot4(%to: memref<?xi32>, %i: index, %a: i32, %b: i32, %c: i32) kernel {
    // Bytes of a have no sign, those of b have one.
    // CHECK: arith.shrui
    // CHECK: arith.shrsi
    // CHECK-COUNT-4: arith.muli
    // CHECK-NOT: arith.muli
    %d = chip.dot4 %a, %b, %c unsigned
    memref.store %d, %to[%i] : memref<?xi32>
    gpu.return
  }

  // Numbers of bf16 are the upper halves of f32, and are rounded to them.
  // CHECK-LABEL: gpu.func @add_pairs
  gpu.func @add_pairs(%to: memref<?xi32>, %i: index, %a: i32, %b: i32) kernel {
    // CHECK-COUNT-2: arith.addf
    // CHECK-NOT: arith.addf
    // CHECK: %[[HIGH:.*]] = arith.shli
    // CHECK-NEXT: %[[SUMS:.*]] = arith.ori %{{.*}}, %[[HIGH]]
    // CHECK-NEXT: memref.store %[[SUMS]]
    %s = chip.add_pairs %a, %b
    memref.store %s, %to[%i] : memref<?xi32>
    gpu.return
  }

  // CHECK-LABEL: gpu.func @reduce
  // CHECK-SAME: memref<64xi32, #gpu.address_space<workgroup>>
  gpu.func @reduce(%to: memref<?xf32>, %i: index, %x: f32) kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    // CHECK: gpu.barrier
    // CHECK-COUNT-4: memref.load
    // CHECK-COUNT-3: arith.addf
    // CHECK: gpu.barrier
    %s = chip.reduce sum %x across 4
    memref.store %s, %to[%i] : memref<?xf32>
    gpu.return
  }
}
