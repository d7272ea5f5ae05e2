// SPDX-License-Identifier: MIT
// Shared by targets.c, a program, and places.c, the test that runs it in many places. The texts
// use scripts with one to four UTF-8 bytes a character; a character of four bytes is a surrogate
// pair in UTF-16.
#ifndef TARGETS_H
#define TARGETS_H

#define TEXT_FOLDER "gr\u00f6\u00dfe \u0436\u0443\u043a \u65e5\u672c \U0001f98e"
#define TEXT_ARGUMENT "\u00e4rger & \u732b \U0001f408"
#define TEXT_NAME "BROOD_TEST_\u00c4\u0416_\u6587"
#define TEXT_VALUE "\u00fcber = \u043c\u0438\u0440 \U0001f30d"
#define TEXT_OTHER_NAME "BROOD_TEST_\u03a9"
#define TEXT_OTHER_VALUE "\u03c9 \u2260 \U0001f40d"

#endif
