; Copies from global to shared memory that end later, in two groups, and dynamic shared memory. Lanes read what others copied.
target triple = "nvptx64-nvidia-cuda"
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.barrier0()
declare void @llvm.nvvm.cp.async.cg.shared.global.16(i8 addrspace(3)*, i8 addrspace(1)*)
declare void @llvm.nvvm.cp.async.ca.shared.global.4(i8 addrspace(3)*, i8 addrspace(1)*)
declare void @llvm.nvvm.cp.async.ca.shared.global.8(i8 addrspace(3)*, i8 addrspace(1)*)
declare void @llvm.nvvm.cp.async.commit.group()
declare void @llvm.nvvm.cp.async.wait.group(i32)
declare void @llvm.nvvm.cp.async.wait.all()
@first = external addrspace(3) global [0 x i32], align 16
@second = internal addrspace(3) global [96 x i32] undef, align 16
define void @cp_async(i32 addrspace(1)* %x, i32 addrspace(1)* %y) {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %t4 = shl i32 %t, 2
  %t2 = shl i32 %t, 1
  %x4 = getelementptr i32, i32 addrspace(1)* %x, i32 %t4
  %x4b = bitcast i32 addrspace(1)* %x4 to i8 addrspace(1)*
  %f = getelementptr [0 x i32], [0 x i32] addrspace(3)* @first, i32 0, i32 %t4
  %fb = bitcast i32 addrspace(3)* %f to i8 addrspace(3)*
  call void @llvm.nvvm.cp.async.cg.shared.global.16(i8 addrspace(3)* %fb, i8 addrspace(1)* %x4b)
  call void @llvm.nvvm.cp.async.commit.group()
  %x2 = getelementptr i32, i32 addrspace(1)* %x, i32 %t2
  %x2b = bitcast i32 addrspace(1)* %x2 to i8 addrspace(1)*
  %s2 = getelementptr [96 x i32], [96 x i32] addrspace(3)* @second, i32 0, i32 %t2
  %s2b = bitcast i32 addrspace(3)* %s2 to i8 addrspace(3)*
  call void @llvm.nvvm.cp.async.ca.shared.global.8(i8 addrspace(3)* %s2b, i8 addrspace(1)* %x2b)
  %x1 = getelementptr i32, i32 addrspace(1)* %x, i32 %t
  %x1b = bitcast i32 addrspace(1)* %x1 to i8 addrspace(1)*
  %t64 = add i32 %t, 64
  %s1 = getelementptr [96 x i32], [96 x i32] addrspace(3)* @second, i32 0, i32 %t64
  %s1b = bitcast i32 addrspace(3)* %s1 to i8 addrspace(3)*
  call void @llvm.nvvm.cp.async.ca.shared.global.4(i8 addrspace(3)* %s1b, i8 addrspace(1)* %x1b)
  call void @llvm.nvvm.cp.async.commit.group()
  call void @llvm.nvvm.cp.async.wait.group(i32 1)
  call void @llvm.nvvm.barrier0()
  %other = xor i32 %t4, 124
  %o = getelementptr [0 x i32], [0 x i32] addrspace(3)* @first, i32 0, i32 %other
  %ov = load i32, i32 addrspace(3)* %o
  %y0 = getelementptr i32, i32 addrspace(1)* %y, i32 %t
  store i32 %ov, i32 addrspace(1)* %y0
  call void @llvm.nvvm.cp.async.wait.all()
  call void @llvm.nvvm.barrier0()
  %back = sub i32 95, %t
  %b = getelementptr [96 x i32], [96 x i32] addrspace(3)* @second, i32 0, i32 %back
  %bv = load i32, i32 addrspace(3)* %b
  %t32 = add i32 %t, 32
  %y1 = getelementptr i32, i32 addrspace(1)* %y, i32 %t32
  store i32 %bv, i32 addrspace(1)* %y1
  %back2 = sub i32 63, %t2
  %c = getelementptr [96 x i32], [96 x i32] addrspace(3)* @second, i32 0, i32 %back2
  %cv = load i32, i32 addrspace(3)* %c
  %y2 = getelementptr i32, i32 addrspace(1)* %y, i32 %t64
  store i32 %cv, i32 addrspace(1)* %y2
  ret void
}
!nvvm.annotations = !{!0}
!0 = !{void (i32 addrspace(1)*, i32 addrspace(1)*)* @cp_async, !"kernel", i32 1}
