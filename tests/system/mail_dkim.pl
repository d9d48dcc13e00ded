# SPDX-License-Identifier: ISC
# Mail::DKIM, for test_arc_peer.py: a message on standard input, keys from a file of
# "name TAB text" lines, nobody is asked.
#
#     mail_dkim.pl verify KEYS                          prints the result of the chain
#     mail_dkim.pl seal KEYS DOMAIN SELECTOR KEY CV     prints the fields of a new set
use strict;
use warnings;
use Mail::DKIM::ARC::Signer;
use Mail::DKIM::ARC::Verifier;
use Mail::DKIM::DNS;
use Mail::DKIM::PrivateKey;
use Net::DNS::Packet;
use Net::DNS::RR;

my ($verb, $records, $domain, $selector, $key, $cv) = @ARGV;
my %text;
open(my $in, '<', $records) or die "$records: $!";
while (<$in>) {
    chomp;
    my ($name, $value) = split /\t/, $_, 2;
    $text{lc $name} = $value;
}

{
    package Records;
    sub new { return bless {}, shift }
    sub errorstring { return 'NOERROR' }
    sub send {
        my ($self, $name, $type) = @_;
        my $packet = Net::DNS::Packet->new($name, $type);
        my $value = $text{lc $name};
        $packet->header->rcode(defined $value ? 'NOERROR' : 'NXDOMAIN');
        my @strings = defined $value ? $value =~ /(.{1,200})/g : ();
        $packet->push(answer => Net::DNS::RR->new(name => $name, type => 'TXT', txtdata => \@strings))
            if @strings && $type eq 'TXT';
        return $packet;
    }
}
Mail::DKIM::DNS::resolver(Records->new);

my $tool = $verb eq 'verify' ? Mail::DKIM::ARC::Verifier->new
    : Mail::DKIM::ARC::Signer->new(Algorithm => 'rsa-sha256', Chain => $cv, Domain => $domain,
        SrvId => "mx.$domain", Selector => $selector, Key => Mail::DKIM::PrivateKey->load(File => $key));
binmode STDIN;
binmode STDOUT;
local $/;
my $message = <STDIN>;
$tool->PRINT($message);
$tool->CLOSE;
if ($verb eq 'verify') {
    print $tool->result, "\n";
} else {
    my $set = join("\015\012", $tool->as_strings);
    $set =~ s/\015?\012/\015\012/g;
    print $set, "\015\012";
}
