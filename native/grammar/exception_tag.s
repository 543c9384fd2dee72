# The tag that every C++ exception is thrown with: the compiler refers to it, and no library of the toolchain defines
# it.
	.tagtype __cpp_exception i32
	.globl __cpp_exception
__cpp_exception:
