namespace TinyZsad.Imaging;

/// <summary>Defines the markers: the byte after 0xFF (ITU-T T.81, table B.1).</summary>
internal static class JpegMarker
{
    public const byte Sof0 = 0xC0, Sof1 = 0xC1, Sof2 = 0xC2, Dht = 0xC4, Jpg = 0xC8, Dac = 0xCC, Sof15 = 0xCF;

    public const byte Rst0 = 0xD0, Rst7 = 0xD7, Soi = 0xD8, Eoi = 0xD9, Sos = 0xDA, Dqt = 0xDB, Dnl = 0xDC, Dri = 0xDD;

    /// <summary>The frame header of JPEG-LS.</summary>
    public const byte Sof55 = 0xF7;

    public const byte App0 = 0xE0, App1 = 0xE1, App14 = 0xEE, App15 = 0xEF, Com = 0xFE, Tem = 0x01;

    /// <summary>Returns whether a marker is one of SOF0 to SOF15, or SOF55.</summary>
    public static bool StartsFrame(byte marker) => marker is (>= Sof0 and <= Sof15 and not (Dht or Jpg or Dac)) or Sof55;

    /// <summary>Returns whether a marker has no length and no parameters.</summary>
    public static bool StandsAlone(byte marker) => marker is >= Rst0 and <= Eoi or Tem;

    /// <summary>Returns the standard's name of a marker, for messages.</summary>
    public static string Name(byte marker) => marker switch
    {
        Dht => "DHT",
        Jpg => "JPG",
        Dac => "DAC",
        >= Sof0 and <= Sof15 => $"SOF{marker - Sof0}",
        Sof55 => "SOF55",
        >= Rst0 and <= Rst7 => $"RST{marker - Rst0}",
        Soi => "SOI",
        Eoi => "EOI",
        Sos => "SOS",
        Dqt => "DQT",
        Dnl => "DNL",
        Dri => "DRI",
        >= App0 and <= App15 => $"APP{marker - App0}",
        Com => "COM",
        Tem => "TEM",
        _ => $"marker FF{marker:X2}",
    };
}
