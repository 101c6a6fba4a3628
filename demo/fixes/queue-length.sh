# SPDX-License-Identifier: GPL-2.0-or-later
# Give the loopback device a queue of 100000 packets.
if ifconfig lo txqueuelen 100000 2>/dev/null; then
	echo "vulnerable: accepted"
else
	echo "fixed: refused"
fi
ifconfig lo txqueuelen 1000
