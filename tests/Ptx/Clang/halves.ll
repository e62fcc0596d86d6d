; Halves: conversions, arithmetic of one and of two, from memory to memory.
target triple = "nvptx64-nvidia-cuda"
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare <2 x half> @llvm.fma.v2f16(<2 x half>, <2 x half>, <2 x half>)
declare half @llvm.fma.f16(half, half, half)
define void @halves(<2 x half> addrspace(1)* %x, <2 x half> addrspace(1)* %y, <2 x half> addrspace(1)* %z, float addrspace(1)* %f, half addrspace(1)* %h) {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %xp = getelementptr <2 x half>, <2 x half> addrspace(1)* %x, i32 %t
  %yp = getelementptr <2 x half>, <2 x half> addrspace(1)* %y, i32 %t
  %zp = getelementptr <2 x half>, <2 x half> addrspace(1)* %z, i32 %t
  %fp = getelementptr float, float addrspace(1)* %f, i32 %t
  %hp = getelementptr half, half addrspace(1)* %h, i32 %t
  %a = load <2 x half>, <2 x half> addrspace(1)* %xp
  %b = load <2 x half>, <2 x half> addrspace(1)* %yp
  %m = call <2 x half> @llvm.fma.v2f16(<2 x half> %a, <2 x half> %b, <2 x half> %a)
  %s = fadd <2 x half> %m, %b
  %d = fsub <2 x half> %s, %a
  %p = fmul <2 x half> %d, %b
  store <2 x half> %p, <2 x half> addrspace(1)* %zp
  %a0 = extractelement <2 x half> %a, i32 0
  %b1 = extractelement <2 x half> %b, i32 1
  %k = call half @llvm.fma.f16(half %a0, half %b1, half %b1)
  %ke = fpext half %k to float
  %old = load float, float addrspace(1)* %fp
  %sum = fadd float %ke, %old
  store float %sum, float addrspace(1)* %fp
  %r = fptrunc float %sum to half
  store half %r, half addrspace(1)* %hp
  ret void
}
!nvvm.annotations = !{!0}
!0 = !{void (<2 x half> addrspace(1)*, <2 x half> addrspace(1)*, <2 x half> addrspace(1)*, float addrspace(1)*, half addrspace(1)*)* @halves, !"kernel", i32 1}
