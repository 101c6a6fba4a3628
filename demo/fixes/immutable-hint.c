/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Change the write-lifetime hint of a file that is marked immutable. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_SET_RW_HINT
#define F_SET_RW_HINT 1036
#endif

int main(void)
{
	int immutable = FS_IMMUTABLE_FL, none = 0;
	uint64_t hint = 2;

	mkdir("/immutable", 0755);
	if (mount("none", "/immutable", "tmpfs", 0, NULL))
		return perror("tmpfs"), 1;
	int fd = open("/immutable/file", O_RDWR | O_CREAT, 0644);
	if (fd < 0 || ioctl(fd, FS_IOC_SETFLAGS, &immutable))
		return perror("immutable"), 1;
	puts(fcntl(fd, F_SET_RW_HINT, &hint) ? "fixed: refused" : "vulnerable: accepted");
	ioctl(fd, FS_IOC_SETFLAGS, &none);
	close(fd);
	return umount("/immutable");
}
