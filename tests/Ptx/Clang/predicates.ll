; Shuffles that say whether their source was there, bytes by prmt, a named barrier, an atomic sum of floats, lane and warp numbers.
target triple = "nvptx64-nvidia-cuda"
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.laneid()
declare void @llvm.nvvm.barrier.sync(i32)
declare void @llvm.nvvm.bar.warp.sync(i32)
declare void @llvm.nvvm.membar.gl()
declare {i32, i1} @llvm.nvvm.shfl.sync.up.i32p(i32, i32, i32, i32)
declare {i32, i1} @llvm.nvvm.shfl.sync.idx.i32p(i32, i32, i32, i32)
declare i32 @llvm.nvvm.vote.ballot.sync(i32, i1)
declare i32 @llvm.nvvm.prmt(i32, i32, i32)
declare i32 @llvm.fshr.i32(i32, i32, i32)
define void @predicates(i32 addrspace(1)* %x, i32 addrspace(1)* %y, float addrspace(1)* %sum) {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %l = call i32 @llvm.nvvm.read.ptx.sreg.laneid()
  %xp = getelementptr i32, i32 addrspace(1)* %x, i32 %t
  %v = load i32, i32 addrspace(1)* %xp
  %u = call {i32, i1} @llvm.nvvm.shfl.sync.up.i32p(i32 -1, i32 %v, i32 7, i32 0)
  %u0 = extractvalue {i32, i1} %u, 0
  %u1 = extractvalue {i32, i1} %u, 1
  %b = call i32 @llvm.nvvm.vote.ballot.sync(i32 -1, i1 %u1)
  %i = call {i32, i1} @llvm.nvvm.shfl.sync.idx.i32p(i32 -1, i32 %v, i32 %l, i32 6175)
  %i0 = extractvalue {i32, i1} %i, 0
  %i1 = extractvalue {i32, i1} %i, 1
  %s = select i1 %i1, i32 %i0, i32 -1
  call void @llvm.nvvm.barrier.sync(i32 1)
  call void @llvm.nvvm.bar.warp.sync(i32 -1)
  call void @llvm.nvvm.membar.gl()
  ; Bytes 6, 1, 3 and the sign of byte 4, from the lowest.
  %p = call i32 @llvm.nvvm.prmt(i32 %v, i32 %u0, i32 49942)
  %r = call i32 @llvm.fshr.i32(i32 %v, i32 %u0, i32 %l)
  %lf = sitofp i32 %l to float
  %old = atomicrmw fadd float addrspace(1)* %sum, float %lf monotonic
  %t5 = mul i32 %t, 5
  %y0 = getelementptr i32, i32 addrspace(1)* %y, i32 %t5
  store i32 %u0, i32 addrspace(1)* %y0
  %y1 = getelementptr i32, i32 addrspace(1)* %y0, i32 1
  store i32 %b, i32 addrspace(1)* %y1
  %y2 = getelementptr i32, i32 addrspace(1)* %y0, i32 2
  store i32 %s, i32 addrspace(1)* %y2
  %y3 = getelementptr i32, i32 addrspace(1)* %y0, i32 3
  store i32 %p, i32 addrspace(1)* %y3
  %y4 = getelementptr i32, i32 addrspace(1)* %y0, i32 4
  store i32 %r, i32 addrspace(1)* %y4
  ret void
}
!nvvm.annotations = !{!0}
!0 = !{void (i32 addrspace(1)*, i32 addrspace(1)*, float addrspace(1)*)* @predicates, !"kernel", i32 1}
