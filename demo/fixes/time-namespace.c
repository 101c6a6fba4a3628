/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ask for a time namespace whose clock is off by minus one nanosecond, written as the unsigned number it is parsed as. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

int main(void)
{
	static const char offset[] = "monotonic 1 18446744073709551615\n";

	if (unshare(CLONE_NEWTIME))
		return perror("unshare"), 1;
	int fd = open("/proc/self/timens_offsets", O_WRONLY);
	if (fd < 0)
		return perror("timens_offsets"), 1;
	puts(write(fd, offset, strlen(offset)) < 0 ? "fixed: refused" : "vulnerable: accepted");
	return 0;
}
