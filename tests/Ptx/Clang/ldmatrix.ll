; Four matrices of 8 x 8 halves through shared memory: as they are, transposed, and one and two at a time.
target triple = "nvptx64-nvidia-cuda"
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.barrier0()
declare {i32, i32, i32, i32} @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3i16(i16 addrspace(3)*)
declare {i32, i32, i32, i32} @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16.p3i16(i16 addrspace(3)*)
declare {i32, i32} @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x2.trans.b16.p3i16(i16 addrspace(3)*)
declare i32 @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x1.b16.p3i16(i16 addrspace(3)*)
@s = internal addrspace(3) global [256 x i16] undef, align 16
define void @ldmatrix(<4 x i32> addrspace(1)* %x, i32 addrspace(1)* %y) {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %xp = getelementptr <4 x i32>, <4 x i32> addrspace(1)* %x, i32 %t
  %v = load <4 x i32>, <4 x i32> addrspace(1)* %xp
  %at = shl i32 %t, 3
  %sp = getelementptr [256 x i16], [256 x i16] addrspace(3)* @s, i32 0, i32 %at
  %sv = bitcast i16 addrspace(3)* %sp to <4 x i32> addrspace(3)*
  store <4 x i32> %v, <4 x i32> addrspace(3)* %sv
  call void @llvm.nvvm.barrier0()
  %m0 = call {i32, i32, i32, i32} @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3i16(i16 addrspace(3)* %sp)
  %m1 = call {i32, i32, i32, i32} @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16.p3i16(i16 addrspace(3)* %sp)
  %m2 = call {i32, i32} @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x2.trans.b16.p3i16(i16 addrspace(3)* %sp)
  %m3 = call i32 @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x1.b16.p3i16(i16 addrspace(3)* %sp)
  %e0 = extractvalue {i32, i32, i32, i32} %m0, 0
  %i0 = add i32 %t, 0
  %p0 = getelementptr i32, i32 addrspace(1)* %y, i32 %i0
  store i32 %e0, i32 addrspace(1)* %p0
  %e1 = extractvalue {i32, i32, i32, i32} %m0, 1
  %i1 = add i32 %t, 32
  %p1 = getelementptr i32, i32 addrspace(1)* %y, i32 %i1
  store i32 %e1, i32 addrspace(1)* %p1
  %e2 = extractvalue {i32, i32, i32, i32} %m0, 2
  %i2 = add i32 %t, 64
  %p2 = getelementptr i32, i32 addrspace(1)* %y, i32 %i2
  store i32 %e2, i32 addrspace(1)* %p2
  %e3 = extractvalue {i32, i32, i32, i32} %m0, 3
  %i3 = add i32 %t, 96
  %p3 = getelementptr i32, i32 addrspace(1)* %y, i32 %i3
  store i32 %e3, i32 addrspace(1)* %p3
  %e4 = extractvalue {i32, i32, i32, i32} %m1, 0
  %i4 = add i32 %t, 128
  %p4 = getelementptr i32, i32 addrspace(1)* %y, i32 %i4
  store i32 %e4, i32 addrspace(1)* %p4
  %e5 = extractvalue {i32, i32, i32, i32} %m1, 1
  %i5 = add i32 %t, 160
  %p5 = getelementptr i32, i32 addrspace(1)* %y, i32 %i5
  store i32 %e5, i32 addrspace(1)* %p5
  %e6 = extractvalue {i32, i32, i32, i32} %m1, 2
  %i6 = add i32 %t, 192
  %p6 = getelementptr i32, i32 addrspace(1)* %y, i32 %i6
  store i32 %e6, i32 addrspace(1)* %p6
  %e7 = extractvalue {i32, i32, i32, i32} %m1, 3
  %i7 = add i32 %t, 224
  %p7 = getelementptr i32, i32 addrspace(1)* %y, i32 %i7
  store i32 %e7, i32 addrspace(1)* %p7
  %e8 = extractvalue {i32, i32} %m2, 0
  %i8 = add i32 %t, 256
  %p8 = getelementptr i32, i32 addrspace(1)* %y, i32 %i8
  store i32 %e8, i32 addrspace(1)* %p8
  %e9 = extractvalue {i32, i32} %m2, 1
  %i9 = add i32 %t, 288
  %p9 = getelementptr i32, i32 addrspace(1)* %y, i32 %i9
  store i32 %e9, i32 addrspace(1)* %p9
  %i10 = add i32 %t, 320
  %p10 = getelementptr i32, i32 addrspace(1)* %y, i32 %i10
  store i32 %m3, i32 addrspace(1)* %p10
  ret void
}
!nvvm.annotations = !{!0}
!0 = !{void (<4 x i32> addrspace(1)*, i32 addrspace(1)*)* @ldmatrix, !"kernel", i32 1}
