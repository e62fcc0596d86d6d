; One tensor core product of a warp. Memory holds the fragments as the lanes have them: the test lays them out.
target triple = "nvptx64-nvidia-cuda"
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare {float, float, float, float} @llvm.nvvm.mma.m16n8k16.row.col.f32.f32(<2 x half>, <2 x half>, <2 x half>, <2 x half>, <2 x half>, <2 x half>, float, float, float, float)
define void @mma(<2 x half> addrspace(1)* %a, <2 x half> addrspace(1)* %b, float addrspace(1)* %c) {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %t2 = shl i32 %t, 1
  %t4 = shl i32 %t, 2
  %ai0 = add i32 %t4, 0
  %ap0 = getelementptr <2 x half>, <2 x half> addrspace(1)* %a, i32 %ai0
  %a0 = load <2 x half>, <2 x half> addrspace(1)* %ap0
  %ai1 = add i32 %t4, 1
  %ap1 = getelementptr <2 x half>, <2 x half> addrspace(1)* %a, i32 %ai1
  %a1 = load <2 x half>, <2 x half> addrspace(1)* %ap1
  %ai2 = add i32 %t4, 2
  %ap2 = getelementptr <2 x half>, <2 x half> addrspace(1)* %a, i32 %ai2
  %a2 = load <2 x half>, <2 x half> addrspace(1)* %ap2
  %ai3 = add i32 %t4, 3
  %ap3 = getelementptr <2 x half>, <2 x half> addrspace(1)* %a, i32 %ai3
  %a3 = load <2 x half>, <2 x half> addrspace(1)* %ap3
  %bi0 = add i32 %t2, 0
  %bp0 = getelementptr <2 x half>, <2 x half> addrspace(1)* %b, i32 %bi0
  %b0 = load <2 x half>, <2 x half> addrspace(1)* %bp0
  %bi1 = add i32 %t2, 1
  %bp1 = getelementptr <2 x half>, <2 x half> addrspace(1)* %b, i32 %bi1
  %b1 = load <2 x half>, <2 x half> addrspace(1)* %bp1
  %ci0 = add i32 %t4, 0
  %cp0 = getelementptr float, float addrspace(1)* %c, i32 %ci0
  %c0 = load float, float addrspace(1)* %cp0
  %ci1 = add i32 %t4, 1
  %cp1 = getelementptr float, float addrspace(1)* %c, i32 %ci1
  %c1 = load float, float addrspace(1)* %cp1
  %ci2 = add i32 %t4, 2
  %cp2 = getelementptr float, float addrspace(1)* %c, i32 %ci2
  %c2 = load float, float addrspace(1)* %cp2
  %ci3 = add i32 %t4, 3
  %cp3 = getelementptr float, float addrspace(1)* %c, i32 %ci3
  %c3 = load float, float addrspace(1)* %cp3
  %d = call {float, float, float, float} @llvm.nvvm.mma.m16n8k16.row.col.f32.f32(<2 x half> %a0, <2 x half> %a1, <2 x half> %a2, <2 x half> %a3, <2 x half> %b0, <2 x half> %b1, float %c0, float %c1, float %c2, float %c3)
  %d0 = extractvalue {float, float, float, float} %d, 0
  store float %d0, float addrspace(1)* %cp0
  %d1 = extractvalue {float, float, float, float} %d, 1
  store float %d1, float addrspace(1)* %cp1
  %d2 = extractvalue {float, float, float, float} %d, 2
  store float %d2, float addrspace(1)* %cp2
  %d3 = extractvalue {float, float, float, float} %d, 3
  store float %d3, float addrspace(1)* %cp3
  ret void
}
!nvvm.annotations = !{!0}
!0 = !{void (<2 x half> addrspace(1)*, <2 x half> addrspace(1)*, float addrspace(1)*)* @mma, !"kernel", i32 1}
