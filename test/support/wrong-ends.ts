// What is not the end of a message, and was taken for it by one server or another: https://smtpsmuggling.com, and what its
// readers found since (CVE-2023-51764 to -51766, CVE-2024-27938). Only CRLF.CRLF ends one (RFC 5321 4.1.1.4).

export const WRONG_ENDS = [
  ...['\n.\n', '\n.\r\n', '\r\n.\n', '\r.\r', '\r.\r\n', '\r\n.\r', '\r.\n', '\n.\r', '\r\r.\r\r', '\n\n.\n\n'],
  ...[
    '\r\n.\r\r\n',
    '\n\r.\r\n',
    '\n\r.\n\r',
    '\r\n\r.\r\n',
    '\r\r\n.\r\r\n',
    '\r\n..\r\n',
    '\r\n .\r\n',
    '\r\n. \r\n',
  ],
  ...['\r\n\0.\r\n', '\r\n.\0\r\n', '\r\n.\r\0\n', '\r\0\n.\r\n', '\0\r\n.\n'],
];

/** What an attacker puts behind it. */
export const SMUGGLED = 'MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nevil';
