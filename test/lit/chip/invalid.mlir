// What the verifiers of the chip dialect refuse.
// RUN: llmc-opt %s --split-input-file --verify-diagnostics

gpu.module @m {
  gpu.func @main(%a: i32, %x: f32) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    // expected-error @+1 {{takes 4 words of A, 2 of B and 4 numbers of C}}
    %d:4 = chip.mma bf16 a(%a, %a) b(%a, %a) c(%x, %x, %x, %x)
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @main(%a: i32, %x: f32) kernel attributes {known_block_size = array<i32: 48, 1, 1>} {
    // expected-error @+1 {{needs a workgroup of a multiple of 32 threads, not 48}}
    %d:4 = chip.mma f16 a(%a, %a, %a, %a) b(%a, %a) c(%x, %x, %x, %x)
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @main(%x: f32) kernel {
    // expected-error @+1 {{stands in a gpu.func with a known_block_size}}
    %d = chip.reduce sum %x across 16
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @main(%x: f32) kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    // expected-error @+1 {{goes across 2, 4, 8, 16 or 32 threads, not 64}}
    %d = chip.reduce max %x across 64
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @main(%from: memref<?xi32>, %i: index) workgroup(%to: memref<8xi32, #gpu.address_space<workgroup>>) kernel {
    // expected-error @+1 {{copies 1, 2 or 4 words, not 3}}
    chip.copy 3 words %from[%i] to %to[%i] : memref<?xi32>, memref<8xi32, #gpu.address_space<workgroup>>
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @main(%from: memref<?xi32>, %i: index) kernel {
    // expected-error @+1 {{copies to the workgroup's memory}}
    chip.copy 1 words %from[%i] to %from[%i] : memref<?xi32>, memref<?xi32>
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @main(%from: memref<?xi32>, %i: index) workgroup(%to: memref<8xi32, #gpu.address_space<workgroup>>) kernel {
    // expected-error @+1 {{copies from global memory}}
    chip.copy 1 words %to[%i] to %to[%i] : memref<8xi32, #gpu.address_space<workgroup>>, memref<8xi32, #gpu.address_space<workgroup>>
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @main() kernel {
    // expected-error @+1 {{waits for no fewer than 0 groups to be left}}
    chip.wait -1
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @main(%a: i32, %i: index) workgroup(%b: memref<1024xi32, #gpu.address_space<workgroup>>) kernel
      attributes {known_block_size = array<i32: 128, 1, 1>} {
    // expected-error @+1 {{takes 8 words of A and gives 32 numbers}}
    %d:32 = chip.warpgroup_mma bf16 a(%a, %a, %a, %a) %b[%i] : memref<1024xi32, #gpu.address_space<workgroup>>
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @main(%b: memref<?xi32>, %a: i32, %i: index) kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
    // expected-error @+1 {{takes B from the workgroup's memory}}
    %d:32 = chip.warpgroup_mma bf16 a(%a, %a, %a, %a, %a, %a, %a, %a) %b[%i] : memref<?xi32>
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @main(%a: i32, %i: index) workgroup(%b: memref<1024xi32, #gpu.address_space<workgroup>>) kernel
      attributes {known_block_size = array<i32: 64, 1, 1>} {
    // expected-error @+1 {{needs a workgroup of a multiple of 128 threads, not 64}}
    %d:32 = chip.warpgroup_mma bf16 a(%a, %a, %a, %a, %a, %a, %a, %a) %b[%i] : memref<1024xi32, #gpu.address_space<workgroup>>
    gpu.return
  }
}
