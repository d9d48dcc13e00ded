# SPDX-License-Identifier: ISC
"""A name server on loopback that knows a few records and remembers what it was asked."""
import socket
import threading

import dns.message
import dns.flags
import dns.rcode
import dns.rdatatype
import dns.rrset


def strings(text):
    """A TXT record as it is written: a string has 255 octets at most."""
    return " ".join(f'"{text[at:at + 255]}"' for at in range(0, len(text), 255))


class NameServer:
    """`records` has one record for a name and type; all other questions get `rcode`: like careless
    servers it says NXDOMAIN even of a name that has other types."""

    def __init__(self, records, address=("127.0.0.1", 0)):
        self.records, self.rcode, self.asked = records, "NXDOMAIN", []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.address = self.socket.getsockname()
        self.port = self.address[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.socket.sendto(b"", self.address)
        self.thread.join(5)
        self.socket.close()

    def serve(self):
        while True:
            packet, peer = self.socket.recvfrom(4096)
            if not packet:
                return
            self.socket.sendto(self.reply(packet), peer)

    def reply(self, packet):
        return self.answer(dns.message.from_wire(packet)).to_wire()

    def answer(self, query):
        question, response = query.question[0], dns.message.make_response(query)
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        response.flags |= dns.flags.RA
        self.asked.append((name, kind))
        if (name, kind) in self.records:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, self.records[name, kind]))
        else:
            response.set_rcode(dns.rcode.from_text(self.rcode))
        return response
