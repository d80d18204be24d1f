// Every operation of the chip dialect, written, read and written again.
// RUN: llmc-opt %s | llmc-opt | FileCheck %s
// RUN: llmc-opt %s --mlir-print-op-generic | llmc-opt | FileCheck %s

gpu.module @m {
  // CHECK-LABEL: gpu.func @main
  gpu.func @main(%from: memref<?xi32>, %i: index, %a: i32, %b: i32, %x: f32)
      workgroup(%to: memref<512xi32, #gpu.address_space<workgroup>>) kernel
      attributes {known_block_size = array<i32: 128, 1, 1>} {
    // CHECK: chip.copy 4 words %{{.*}}[%{{.*}}] to %{{.*}}[%{{.*}}] : memref<?xi32>, memref<512xi32, #gpu.address_space<workgroup>>
    chip.copy 4 words %from[%i] to %to[%i] : memref<?xi32>, memref<512xi32, #gpu.address_space<workgroup>>
    // CHECK-NEXT: chip.commit
    chip.commit
    // CHECK-NEXT: chip.wait 1
    chip.wait 1
    // CHECK-NEXT: %[[D0:.*]], %[[D1:.*]], %[[D2:.*]], %[[D3:.*]] = chip.mma bf16 a(%[[A:.*]], %[[B:.*]], %[[A]], %[[B]]) b(%[[A]], %[[B]]) c(%[[X:.*]], %[[X]], %[[X]], %[[X]])
    %d:4 = chip.mma bf16 a(%a, %b, %a, %b) b(%a, %b) c(%x, %x, %x, %x)
    // CHECK-NEXT: {{.*}} = chip.mma f16 a(%[[A]], %[[B]], %[[A]], %[[B]]) b(%[[A]], %[[B]]) c(%[[D0]], %[[D1]], %[[D2]], %[[D3]])
    %e:4 = chip.mma f16 a(%a, %b, %a, %b) b(%a, %b) c(%d#0, %d#1, %d#2, %d#3)
    // CHECK-NEXT: chip.publish
    chip.publish
    // CHECK-NEXT: %[[P:.*]]:32 = chip.warpgroup_mma bf16 a(%[[A]], %[[A]], %[[A]], %[[A]], %[[B]], %[[B]], %[[B]], %[[B]]) %{{.*}}[%{{.*}}] : memref<512xi32, #gpu.address_space<workgroup>>
    %p:32 = chip.warpgroup_mma bf16 a(%a, %a, %a, %a, %b, %b, %b, %b) %to[%i] : memref<512xi32, #gpu.address_space<workgroup>>
    // CHECK-NEXT: %[[S:.*]] = chip.dot4 %[[A]], %[[B]], %[[A]]{{$}}
    %s = chip.dot4 %a, %b, %a
    // CHECK-NEXT: {{.*}} = chip.dot4 %[[A]], %[[B]], %[[S]] unsigned
    %u = chip.dot4 %a, %b, %s unsigned
    // CHECK-NEXT: {{.*}} = chip.add_pairs %[[A]], %[[B]]
    %v = chip.add_pairs %a, %b
    // CHECK-NEXT: %[[M:.*]] = chip.reduce sum %[[X]] across 16
    %m = chip.reduce sum %x across 16
    // CHECK-NEXT: {{.*}} = chip.reduce max %[[M]] across 32
    %n = chip.reduce max %m across 32
    gpu.return
  }
}
